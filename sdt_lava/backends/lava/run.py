"""Run compiled networks in Lava's CPU simulator and read the spikes at the right steps."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sdt_lava.backends.execution import LavaExecution
from sdt_lava.backends.lava.build import build_network
from sdt_lava.backends.lava.processes.blocks import SpikingNetwork
from sdt_lava.backends.lava.processes.host_io import FrameSource, RecordedSignal, SpikeRecorder
from sdt_lava.backends.lava.processes.run_config import run_config
from sdt_lava.backends.lava.session import LavaSession
from sdt_lava.compiler.compile import CompiledNetwork
from sdt_lava.errors import ResourceError
from sdt_lava.ir import Shape, Signal
from sdt_lava.ir.numerics import IntArray

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class LavaNetwork:
    """The Lava processes of a network, connected to a source of frames and a recorder."""

    source: FrameSource
    network: SpikingNetwork
    recorder: SpikeRecorder


def build_processes(compiled: CompiledNetwork, frames: IntArray, directory: Path) -> LavaNetwork:
    """Build and connect the Lava processes of a compiled network.

    Parameters
    ----------
    compiled : CompiledNetwork
        Compiled network to build.
    frames : ndarray of int
        Input ``(T, B, *shape)``; samples are presented consecutively.
    directory : Path
        Existing directory for the input and output files.
    """
    graph = compiled.graph
    network = build_network(compiled)
    source = FrameSource(write_frames(frames, directory / "frames.npy"))
    source.s_out.connect(network.inp)
    signals = {
        name: RecordedSignal(
            int(np.prod(graph.shapes[name])),
            "uint8" if graph.signals[name] is Signal.SPIKE else "int32",
        )
        for name in compiled.observed
    }
    steps = compiled.schedule.machine_steps(frames.shape[1])
    recorder = SpikeRecorder(signals, directory, steps)
    for name in compiled.observed:
        network.out_port(name).connect(recorder.port(name))
    return LavaNetwork(source, network, recorder)


def write_frames(frames: IntArray, path: Path) -> Path:
    """Write frames ``(T, B, *shape)`` as rows ``(B * T, n)`` for a FrameSource."""
    # Samples are consecutive: step t of sample b is machine step b T + t.
    steps = np.swapaxes(frames, 0, 1).reshape(frames.shape[0] * frames.shape[1], -1)
    np.save(path, steps.astype(np.int32))
    return path


def run_lava(
    compiled: CompiledNetwork,
    frames: IntArray,
    *,
    models: str = "lava",
    executor: str = "processes",
    timeout: float | None = None,
    on_progress: Progress | None = None,
) -> tuple[dict[str, IntArray], LavaExecution]:
    """Run a compiled network in Lava's CPU simulator.

    Parameters
    ----------
    compiled : CompiledNetwork
        Network whose schedule has the same T as the frames.
    frames : ndarray of int
        Input ``(T, B, *shape)``.
    models : {'lava', 'accelerated', 'fused-blocks', 'fused'}
        ProcessModels; see :func:`sdt_lava.backends.lava.processes.run_config.run_config`.
    executor : {'processes', 'in-process'}
        Executor; see :class:`sdt_lava.backends.lava.session.LavaSession`.
    timeout : float, optional
        Limit in seconds.
    on_progress : callable, optional
        Function called with the numbers of machine steps done and in total.

    Returns
    -------
    outputs : dict of str to ndarray
        Output ``(T, B, *shape)`` of each LIF (uint8) and the readout's relay (int32).
    execution : LavaExecution
        Executor and models of the run, and durations of its phases.

    Raises
    ------
    LavaRuntimeError
        If a Lava process raises, dies or does not respond in time.
    """
    samples = frames.shape[1]
    steps = compiled.schedule.machine_steps(samples)
    config = run_config(models)
    with tempfile.TemporaryDirectory(prefix="sdt-lava-") as folder:
        lava = _build(compiled, frames, Path(folder))
        with LavaSession(lava.source, config, timeout=timeout, executor=executor) as session:
            session.run(steps, on_progress=_report(on_progress, steps))
        outputs = {
            name: cut_samples(compiled, name, lava.recorder.read(name), samples)
            for name in lava.network.observed
        }
    execution = LavaExecution(
        session.executor, models, session.num_processes, session.seconds, session.note
    )
    return outputs, execution


def _build(compiled: CompiledNetwork, frames: IntArray, directory: Path) -> LavaNetwork:
    try:
        return build_processes(compiled, frames, directory)
    except OSError as error:
        raise ResourceError(
            str(directory),
            f"frames cannot be written: {error.strerror or error}",
            remedy="free space there, or name another folder with the variable TMPDIR",
        ) from error


def _report(on_progress: Progress | None, steps: int) -> Callable[[int], Any] | None:
    return None if on_progress is None else lambda done: on_progress(done, steps)


def cut_samples(
    compiled: CompiledNetwork, name: str, recorded: np.ndarray, samples: int
) -> np.ndarray:
    """Cut a recording into samples, from ``(steps, n)`` to ``(T, B, *shape)``."""
    shape: Shape = compiled.graph.shapes[name]
    schedule = compiled.schedule
    start = schedule.first_step(name, 0)
    window = recorded[start : start + samples * schedule.timesteps]
    by_sample = window.reshape(samples, schedule.timesteps, *shape)
    # Copy the samples, because the file of the recording is about to be removed.
    return np.array(np.swapaxes(by_sample, 0, 1), order="C")
