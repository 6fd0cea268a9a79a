"""Connect the network's processes to host processes through adapters."""

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

# The adapter before convolutions is known to carry this many bits including the sign (lava-dl,
# test_hdf5_nx.py).
_CONV_BITS = 16


@dataclass(frozen=True)
class AdaptedNetwork:
    """The Lava processes of a network, connected to a source and a recorder through adapters."""

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
    """Build and connect the processes for a run on hardware, or for a rehearsal on the CPU.

    Parameters
    ----------
    compiled : CompiledNetwork
        Compiled network to build.
    frames : ndarray of int
        Input ``(T, B, *shape)``.
    directory : Path
        Existing directory for the input and output files.
    recorded : tuple of str
        Populations whose events are recorded.
    steps : int
        Number of machine steps to run.
    """
    graph = compiled.graph
    network = build_network(compiled)
    source = FrameSource(write_frames(frames, directory / "frames.npy"))
    input_adapter = _input_adapter(compiled)
    source.s_out.connect(input_adapter.inp)
    input_adapter.out.connect(network.inp)
    sizes = {name: int(np.prod(graph.shapes[name])) for name in recorded}
    graded = {name: graph.signals[name] is Signal.GRADED for name in recorded}
    signals = {
        name: RecordedSignal(size, "int32" if graded[name] else "uint8")
        for name, size in sizes.items()
    }
    recorder = SpikeRecorder(signals, directory, steps)
    for index, (name, size) in enumerate(sizes.items()):
        bits = GRADED_BITS if graded[name] else 0
        output_adapter = OutputAdapter(size, bits, name=f"output adapter {index}")
        network.out_port(name).connect(output_adapter.inp)
        output_adapter.out.connect(recorder.port(name))
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
    """Sign-extend 24-bit payloads, which the chip sends without the upper bits.

    Payloads that are already signed are not changed.
    """
    upper_bits = 32 - GRADED_BITS
    return np.asarray(payloads, np.int32) << upper_bits >> upper_bits
