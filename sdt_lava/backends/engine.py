"""Back end 'engine'."""

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
    """Runs graphs in :class:`~sdt_lava.engine.Engine`."""

    name = "engine"
    options = frozenset({"memory", "threads", "device"})
    traits = Traits(is_engine=True)

    def check(self, options: RunOptions) -> None:
        """Check options, with those of the engine."""
        super().check(options)
        _ = options.engine

    def run_as_given(self, net: Graph, x: Any, options: RunOptions) -> IntegerRun | None:
        """Run a network on spikes."""
        return _run_spikes(net, x, options)

    def run(self, net: Graph, frames: IntArray, options: RunOptions) -> IntegerRun:
        """Run a network."""
        return _run(net, frames, options)


def _run(net: Graph, frames: IntArray, options: RunOptions) -> IntegerRun:
    from sdt_lava.engine import Engine, RunRequest

    graph, wanted = what_runs(net, options)
    # The values of a compiled network have been checked.
    strict = options.strict and options.compiled is None
    engine = Engine(graph, strict=strict, tracked=False, options=options.engine)
    if not options.reset:
        return unpacked(net, stream_in_engine(engine, frames, options, wanted), options)
    request = RunRequest(wanted, in_range=True, on_batch=lambda done: tell(options, done, frames))
    if options.compiled is not None:
        return unpacked(net, dict(engine.run(frames, request)), options)
    what = counted(net) if options.count and engine.can_count(frames, in_range=True) else None
    if what is None:
        return _integer_run(net, engine.run(frames, request))
    ran = engine.run(frames, replace(request, counted=what.fan_out))
    counts = tables(net, what, frames.shape[:2], ran.counts, frames)
    return replace(_integer_run(net, ran), counted=counts)


def _run_spikes(net: Graph, x: Any, options: RunOptions) -> IntegerRun | None:
    """Run a network on spikes as they come; None if the input is something else.

    Checking and copying an input takes as long as a small network: here each thread looks at a
    value once, when it packs it.

    Raises
    ------
    DataError
        If the shape of the input does not fit.
    """
    from sdt_lava.engine import Engine, RunRequest

    if not options.reset:
        return None
    values = to_time_first(x, net.input_shape, net.timesteps, look=False)
    engine = Engine(net, strict=options.strict, tracked=False, options=options.engine)
    what = counted(net) if options.count else None
    request = RunRequest(
        (*net.memory_names, net.output_name, net.input.name),
        counted=what.fan_out if what else {},
        is_raw=True,
        on_batch=lambda done: tell(options, done, values),
    )
    if not engine.can_pack(values, request):
        return None
    ran = engine.run(values, request)
    if not ran.is_binary:
        return None
    counts = tables(net, what, values.shape[:2], ran.counts) if what else None
    entered = PackedFrames(ran.packed(net.input.name))
    return replace(_integer_run(net, ran), entered=entered, counted=counts)


def _integer_run(net: Graph, ran: RunResult) -> IntegerRun:
    spikes = ran.only(net.lif_names)  # packed until somebody looks at them
    return IntegerRun(ran[net.output_name], spikes, messages_of(net, ran))
