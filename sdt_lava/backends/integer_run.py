"""Share functions between the back ends that run integer graphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sdt_lava.backends.execution import LavaExecution
from sdt_lava.backends.host import network_outputs
from sdt_lava.backends.options import RunOptions
from sdt_lava.backends.streaming import continuously
from sdt_lava.ir import Graph, Sigma
from sdt_lava.ir.batches import parts, samples_at_once
from sdt_lava.ir.numerics import IntArray

if TYPE_CHECKING:
    from sdt_lava.backends.recorded import PackedFrames
    from sdt_lava.counts.counts import Counts


@dataclass(frozen=True)
class IntegerRun:
    """Output of a back end for integer graphs.

    Parameters
    ----------
    readout : ndarray of int
        Readout at each step, ``(T, B, classes)``.
    spikes : mapping of str to ndarray of uint8
        Spikes of each LIF, ``(T, B, *shape)``.
    messages : mapping of str to ndarray of int32
        Messages of each population of sigma-delta neurons, ``(T, B, *shape)``.
    execution : LavaExecution or None
        Execution of the Lava network.
    counted : Counts or None
        Counts made during the run.
    entered : ndarray of int64, PackedFrames or None
        Integer input, ``(T, B, *shape)``.
    """

    readout: IntArray
    spikes: Mapping[str, NDArray[np.uint8]]
    messages: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)
    execution: LavaExecution | None = None
    counted: Counts | None = None
    entered: IntArray | PackedFrames | None = None


def in_batches(
    net: Graph,
    frames: IntArray,
    run: Callable[..., Mapping[str, IntArray]],
    options: RunOptions,
) -> dict[str, IntArray]:
    """Run samples in batches, each from rest or from the state in which the last one ended."""
    size = options.batch_size or samples_at_once(net, len(frames))
    run_part = run if options.reset else continuously(run)
    outputs = []
    for part, done in parts(frames, size):
        outputs.append(run_part(part))
        tell(options, done, frames)
    return joined(outputs)


def joined(outputs: Sequence[Mapping[str, IntArray]]) -> dict[str, IntArray]:
    """Concatenate the samples of several parts."""
    return {name: np.concatenate([part[name] for part in outputs], axis=1) for name in outputs[0]}


def what_runs(net: Graph, options: RunOptions) -> tuple[Graph, tuple[str, ...]]:
    """Return the graph to run and the nodes whose output is needed."""
    if options.compiled is not None:
        return options.compiled.graph, options.compiled.observed
    return net, (*net.memory_names, net.output_name)


def unpacked(
    net: Graph,
    outputs: dict[str, IntArray],
    options: RunOptions,
    execution: LavaExecution | None = None,
) -> IntegerRun:
    """Extract readout, spikes and messages from the output of all populations."""
    if options.compiled is not None:
        outputs = network_outputs(options.compiled, outputs)
    spikes = {lif: outputs[lif].astype(np.uint8, copy=False) for lif in net.lif_names}
    readout = outputs[net.output_name]
    return IntegerRun(readout, spikes, messages_of(net, outputs), execution)


def messages_of(net: Graph, outputs: Mapping[str, IntArray]) -> dict[str, NDArray[np.int32]]:
    """Return the messages of sigma-delta neurons in the width of Lava's messages."""
    return {name: outputs[name].astype(np.int32, copy=False) for name in net.message_names}


def total_output(net: Graph, readout: IntArray) -> IntArray:
    """Return the network's result, which is the total of its output over a sample.

    Parameters
    ----------
    net : Graph
        Integer graph.
    readout : ndarray of int
        Output of the network at each step, ``(T, B, *shape)``.

    Returns
    -------
    ndarray of int64
        Sum over T, or the last value if the output already accumulates, ``(B, *shape)``.
    """
    if isinstance(net.nodes[net.output_name], Sigma):
        return readout[-1].astype(np.int64)
    return readout.sum(axis=0, dtype=np.int64)


def tell(options: RunOptions, done: int, frames: IntArray) -> None:
    """Report progress in samples."""
    if options.on_progress is not None:
        options.on_progress(done, frames.shape[1])
