"""The network's processes between host processes, with adapters on the borders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sdt_lava.backends.lava.build import build_network
from sdt_lava.backends.lava.processes.adapters import InputAdapter, OutputAdapter
from sdt_lava.backends.lava.processes.blocks import SpikingNetwork
from sdt_lava.backends.lava.processes.host_io import FrameSource, RecordedSignal, SpikeRecorder
from sdt_lava.backends.lava.run import write_frames
from sdt_lava.compiler.compile import CompiledNetwork
from sdt_lava.errors import CompileError
from sdt_lava.ir import Conv, Signal
from sdt_lava.ir.numerics import GRADED_BITS, IntArray

# The adapter in front of convolutions is known to carry this many bits (lava-dl, test_hdf5_nx.py),
# of which one is the sign's.
_CONV_BITS = 16


@dataclass(frozen=True)
class AdaptedNetwork:
    """A network's Lava processes, connected through adapters to a source and a recorder."""

    source: FrameSource
    network: SpikingNetwork
    recorder: SpikeRecorder


def build_adapted(
    compiled: CompiledNetwork,
    frames: IntArray,
    directory: Path,
    recorded: tuple[str, ...],
    steps: int,
) -> AdaptedNetwork:
    """Build and wire processes for a run on hardware, or for a rehearsal of it on the CPU.

    Parameters
    ----------
    compiled : CompiledNetwork
        What to build.
    frames : ndarray of int
        ``(T, B, *shape)``.
    directory : Path
        Existing folder for the files that feed and record.
    recorded : tuple of str
        Populations whose events are brought back.
    steps : int
        Machine steps that will be run.
    """
    graph = compiled.graph
    network = build_network(compiled)
    source = FrameSource(write_frames(frames, directory / "frames.npy"))
    into = _input_adapter(compiled)
    source.s_out.connect(into.inp)
    into.out.connect(network.inp)
    sizes = {name: int(np.prod(graph.shapes[name])) for name in recorded}
    graded = {name: graph.signals[name] is Signal.GRADED for name in recorded}
    signals = {
        name: RecordedSignal(size, "int32" if graded[name] else "uint8")
        for name, size in sizes.items()
    }
    recorder = SpikeRecorder(signals, directory, steps)
    for index, (name, size) in enumerate(sizes.items()):
        bits = GRADED_BITS if graded[name] else 0
        out_of = OutputAdapter(size, bits, name=f"output adapter {index}")
        network.out_port(name).connect(out_of.inp)
        out_of.out.connect(recorder.port(name))
    return AdaptedNetwork(source, network, recorder)


def _input_adapter(compiled: CompiledNetwork) -> InputAdapter:
    graph, entry = compiled.graph, compiled.graph.input
    readers = {isinstance(graph.nodes[name], Conv) for name in graph.consumers[entry.name]}
    if len(readers) > 1:
        raise CompileError(
            f"input {entry.name!r}",
            "read by convolutions and by matrices",
            "one kind: convolutions need an adapter of their own",
            "compile with convolutions='sparse'",
        )
    largest = max(abs(entry.low), abs(entry.high))
    graded = graph.signals[entry.name] is Signal.GRADED
    by_convolutions = True in readers
    small = by_convolutions and largest < 1 << (_CONV_BITS - 1)
    bits = (_CONV_BITS if small else GRADED_BITS) if graded else 0
    image = entry.shape if by_convolutions else None
    return InputAdapter(int(np.prod(entry.shape)), bits, image, name="input adapter")


def signed(payloads: IntArray) -> IntArray:
    """Extend the sign of payloads of 24 bits, which the chip sends without the upper ones.

    What already is signed stays as it is.
    """
    spare = 32 - GRADED_BITS
    return np.asarray(payloads, np.int32) << spare >> spare
