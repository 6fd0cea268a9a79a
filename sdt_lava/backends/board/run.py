"""Run the same processes as in Lava's simulator on a board."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sdt_lava.backends.board.compiling import compile_for
from sdt_lava.backends.board.extension import Extension, load_extension
from sdt_lava.backends.board.host import connected
from sdt_lava.backends.board.options import HardwareOptions
from sdt_lava.backends.board.worker import in_child
from sdt_lava.backends.deployment import Deployment
from sdt_lava.backends.measured import Measured
from sdt_lava.compiler.choose import Choice
from sdt_lava.compiler.compile import CompiledNetwork
from sdt_lava.errors import CompileError, HardwareUnavailableError, LavaRuntimeError
from sdt_lava.hardware.rules import ERROR, check_rules
from sdt_lava.hardware.targets import Target, load_target
from sdt_lava.ir import Graph, Signal
from sdt_lava.ir.bounds import Extremes
from sdt_lava.ir.numerics import IntArray

# [s] Interval at which a running network is polled.
_POLL_PERIOD = 0.05


@dataclass(frozen=True)
class BoardRun:
    """Output and measurements of a run on a board.

    Parameters
    ----------
    outputs : mapping of str to ndarray
        Output of every recorded population, ``(T, B, *shape)``.
    measured : Measured
        Measurements of the profilers.
    """

    outputs: Mapping[str, IntArray]
    measured: Measured


def require_hardware(target: str | Path | Target) -> Extension:
    """Check without contacting a board that networks for a target can run here.

    Raises
    ------
    TargetError
        If the target does not exist.
    HardwareUnavailableError
        If Lava cannot run networks for this target here.
    """
    description = target if isinstance(target, Target) else load_target(target)
    if description.name == "loihi1" or not description.is_hardware:
        kind = "Loihi 1" if description.is_hardware else f"{description.title}, a simulator"
        raise HardwareUnavailableError(
            f"target {description.name!r}",
            f"no board is driven for {kind}",
            "target 'loihi2', or a description of such boards",
            "sdt-lava check and map take every target, and so does sdt-sim --backend machine",
        )
    return load_extension()


def compile_for_run(
    net: Graph,
    frames: IntArray,
    options: HardwareOptions,
    reset: bool,
    measured: Mapping[str, Extremes],
    shortcut: Choice | None = None,
    sdsa: Choice | None = None,
) -> Deployment:
    """Compile a network and raise an error if it violates a design rule.

    Raises
    ------
    CompileError
        For the first violated rule, if `options` request the check.
    """
    compiled = compile_for(net, options, frames.shape[0], reset, shortcut, sdsa)
    violations = [row for row in check_rules(compiled, measured) if row.severity == ERROR]
    if options.check and violations:
        first = violations[0]
        more = f" (and {len(violations) - 1} more: sdt-lava check)" if len(violations) > 1 else ""
        where = f"node {first.node!r}, design rule {first.rule}"
        raise CompileError(where, first.found + more, first.allowed, first.remedy)
    return compiled


def run_on_board(
    compiled: CompiledNetwork,
    frames: IntArray,
    options: HardwareOptions,
    timeout: float | None = None,
) -> BoardRun:
    """Run a compiled network on a board.

    Parameters
    ----------
    compiled : CompiledNetwork
        Network whose schedule has the same T as the frames.
    frames : ndarray of int
        Input ``(T, B, *shape)``.
    options : HardwareOptions
        Board, and what to record and measure.
    timeout : float, optional
        Limit in seconds for the whole run.

    Raises
    ------
    HardwareUnavailableError
        If the extension is not installed, or no board can be reached.
    LavaRuntimeError
        If a process raises an error, dies or does not respond in time.
    """
    extension = require_hardware(compiled.target)
    board = compiled.target.board(options.board)
    recorded = compiled.observed if options.record == "all" else (compiled.output_name,)
    with tempfile.TemporaryDirectory(prefix="sdt-lava-") as folder, connected(board) as host:
        task = _Task(compiled, frames, Path(folder), recorded, extension, options.measure)
        files, values = in_child(partial(_execute, task), timeout, f"the run on {board.name}")
        outputs = {name: _read(compiled, name, path, frames) for name, path in files.items()}
    timesteps, samples = frames.shape[:2]
    measured = Measured(
        target=compiled.target.name,
        board=board.name,
        host=host,
        machine_steps=task.steps,
        samples=samples,
        timesteps=timesteps,
        **values,
    )
    return BoardRun(outputs, measured)


@dataclass(frozen=True)
class _Task:
    compiled: CompiledNetwork
    frames: IntArray
    folder: Path
    recorded: tuple[str, ...]
    extension: Extension
    measure: bool

    @property
    def steps(self) -> int:
        """Machine steps until the host has received the last event."""
        latency = self.compiled.target.limit("output_latency") or 0
        return self.compiled.schedule.machine_steps(self.frames.shape[1]) + latency


def _execute(task: _Task) -> tuple[dict[str, str], dict[str, Any]]:
    """Build, run and stop the network in the child process."""
    from lava.magma.core.run_conditions import RunSteps

    from sdt_lava.backends.board.profile import read_profilers
    from sdt_lava.backends.board.wiring import build_adapted

    lava = build_adapted(task.compiled, task.frames, task.folder, task.recorded, task.steps)
    profilers = task.extension.profilers(task.steps) if task.measure else {}
    config = _run_config(list(profilers.values()))
    try:
        lava.source.run(condition=RunSteps(num_steps=task.steps, blocking=False), run_cfg=config)
        _wait(lava.source.runtime)
        lava.source.wait()
        lava.source.stop()
    except OSError as error:  # also raised if a connection fails or a driver is missing
        raise HardwareUnavailableError(
            "Loihi 2",
            f"no board answers: {type(error).__name__}: {error}",
            "a board that is up and not in use",
            "see sinfo and squeue, or set BOARD to another one",
        ) from error
    files = {name: str(lava.recorder.path(name)) for name in task.recorded}
    return files, read_profilers(profilers)


def _run_config(callbacks: list[Any]) -> Any:
    from lava.magma.core.run_configs import Loihi2HwCfg

    from sdt_lava.backends.lava.processes.adapters import InputAdapter, OutputAdapter
    from sdt_lava.backends.lava.processes.adapters.models import (
        NxInputAdapterModel,
        NxOutputAdapterModel,
    )

    adapters: Any = {InputAdapter: NxInputAdapterModel, OutputAdapter: NxOutputAdapterModel}
    return Loihi2HwCfg(exception_proc_model_map=adapters, callback_fxs=callbacks)


def _wait(runtime: Any) -> None:
    """Wait until every service has responded, and raise failures that Lava would not detect."""
    actors = runtime._messaging_infrastructure.actors
    while not all(port.probe() for port in runtime.service_to_runtime):
        for actor in actors:
            if actor.exception is not None:
                error, trace = actor.exception
                summary = f"{type(error).__name__}: {error}"
                raise LavaRuntimeError("a Lava process", summary, traceback_text=trace)
            if not actor.is_alive():
                raise LavaRuntimeError("a Lava process", f"ended with exit code {actor.exitcode}")
        time.sleep(_POLL_PERIOD)


def _read(compiled: CompiledNetwork, name: str, path: str, frames: IntArray) -> IntArray:
    from sdt_lava.backends.board.wiring import signed
    from sdt_lava.backends.lava.run import cut_samples

    recorded = np.load(path, mmap_mode="r", allow_pickle=False)
    delay = compiled.target.limit("output_latency") or 0
    values = cut_samples(compiled, name, recorded[delay:], frames.shape[1])
    return signed(values) if compiled.graph.signals[name] is Signal.GRADED else values
