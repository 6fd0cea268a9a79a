"""Run integer graphs on back end 'engine'."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sdt_lava.backends.integer_backend import IntegerBackend
from sdt_lava.backends.integer_run import (
    IntegerRun,
    messages_of,
    tell,
    unpacked,
    what_runs,
)
from sdt_lava.backends.options import RunOptions
from sdt_lava.backends.ranges import stream_in_engine
from sdt_lava.backends.recorded import PackedFrames
from sdt_lava.backends.traits import Traits
from sdt_lava.counts.fused_counts import counted, tables
from sdt_lava.ir import Graph
from sdt_lava.ir.encoding import to_time_first
from sdt_lava.ir.numerics import IntArray

if TYPE_CHECKING:
    from sdt_lava.engine.request import RunResult


class EngineBackend(IntegerBackend):
    """Back end that runs graphs on :class:`~sdt_lava.engine.Engine`."""

    name = "engine"
    options = frozenset({"memory", "threads", "device"})
    traits = Traits(is_engine=True)

    def check(self, options: RunOptions) -> None:
        """Check options, including those of the engine."""
        super().check(options)
        _ = options.engine

    def run_as_given(self, net: Graph, x: Any, options: RunOptions) -> IntegerRun | None:
        """Run a network on input that may be binary spikes; return None if it is not."""
        return _run_spikes(net, x, options)

    def run(self, net: Graph, frames: IntArray, options: RunOptions) -> IntegerRun:
        """Run a network on encoded frames."""
        return _run(net, frames, options)


def _run(net: Graph, frames: IntArray, options: RunOptions) -> IntegerRun:
    from sdt_lava.engine import Engine, RunRequest

    graph, names = what_runs(net, options)
    # The values of a compiled network have already been checked.
    strict = options.strict and options.compiled is None
    engine = Engine(graph, strict=strict, tracked=False, options=options.engine)
    if not options.reset:
        return unpacked(net, stream_in_engine(engine, frames, options, names), options)
    request = RunRequest(names, in_range=True, on_batch=lambda done: tell(options, done, frames))
    if options.compiled is not None:
        return unpacked(net, dict(engine.run(frames, request)), options)
    counted_nodes = (
        counted(net) if options.count and engine.can_count(frames, in_range=True) else None
    )
    if counted_nodes is None:
        return _integer_run(net, engine.run(frames, request))
    result = engine.run(frames, replace(request, counted=counted_nodes.fan_out))
    counts = tables(net, counted_nodes, frames.shape[:2], result.counts, frames)
    return replace(_integer_run(net, result), counted=counts)


def _run_spikes(net: Graph, x: Any, options: RunOptions) -> IntegerRun | None:
    """Run a network on unencoded spikes; return None if the input is not binary.

    Checking and copying an input takes as long as running a small network. Here, each value is read
    only once, when a thread packs it.

    Raises
    ------
    DataError
        If the shape of the input does not fit the network.
    """
    from sdt_lava.engine import Engine, RunRequest

    if not options.reset:
        return None
    values = to_time_first(x, net.input_shape, net.timesteps, look=False)
    engine = Engine(net, strict=options.strict, tracked=False, options=options.engine)
    counted_nodes = counted(net) if options.count else None
    request = RunRequest(
        (*net.memory_names, net.output_name, net.input.name),
        counted=counted_nodes.fan_out if counted_nodes else {},
        is_raw=True,
        on_batch=lambda done: tell(options, done, values),
    )
    if not engine.can_pack(values, request):
        return None
    result = engine.run(values, request)
    if not result.is_binary:
        return None
    counts = tables(net, counted_nodes, values.shape[:2], result.counts) if counted_nodes else None
    packed_input = PackedFrames(result.packed(net.input.name))
    return replace(_integer_run(net, result), entered=packed_input, counted=counts)


def _integer_run(net: Graph, ran: RunResult) -> IntegerRun:
    spikes = ran.only(net.lif_names)  # stay packed until they are read
    return IntegerRun(ran[net.output_name], spikes, messages_of(net, ran))
