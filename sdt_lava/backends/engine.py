"""Back end 'engine'."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sdt_lava.backends.integer_backend import IntegerBackend
from sdt_lava.backends.integer_run import (
    IntegerRun,
    joined,
    messages_of,
    tell,
    unpacked,
    what_runs,
)
from sdt_lava.backends.options import RunOptions
from sdt_lava.backends.ranges import stream_in_engine
from sdt_lava.backends.recorded import PackedFrames, PackedSpikes
from sdt_lava.backends.traits import Traits
from sdt_lava.counts.fused_counts import FusedCounter, counted
from sdt_lava.ir import Graph
from sdt_lava.ir.encoding import to_time_first
from sdt_lava.ir.numerics import IntArray

if TYPE_CHECKING:
    from sdt_lava.engine import Engine
    from sdt_lava.engine.plan.plan import Output


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
    from sdt_lava.engine import Engine

    graph, wanted = what_runs(net, options)
    # The values of a compiled network have been checked.
    strict = options.strict and options.compiled is None
    engine = Engine(graph, strict=strict, tracked=False, options=options.engine)
    if not options.reset:
        return unpacked(net, stream_in_engine(engine, frames, options, wanted), options)
    if options.compiled is not None:
        parts = []
        for outputs, done in engine.batches(frames, wanted, in_range=True):
            parts.append({name: output.unpack() for name, output in outputs.items()})
            tell(options, done, frames)
        return unpacked(net, joined(parts), options)
    what = counted(net) if options.count and engine.can_count(frames, in_range=True) else None
    counter = FusedCounter(net, what, frames.shape[:2], frames) if what else None
    batches = []
    for outputs, done in _batches(engine, frames, wanted, counter):
        batches.append(outputs)
        tell(options, done, frames)
    return _gathered(net, batches, counter)


def _run_spikes(net: Graph, x: Any, options: RunOptions) -> IntegerRun | None:
    """Run a network on spikes as they come; None if the input is something else.

    Checking and copying an input takes as long as a small network: here each thread looks at a
    value once, when it packs it.

    Raises
    ------
    DataError
        If the shape of the input does not fit.
    """
    from sdt_lava.engine import Engine

    if not options.reset:
        return None
    values = to_time_first(x, net.input_shape, net.timesteps, look=False)
    engine = Engine(net, strict=options.strict, tracked=False, options=options.engine)
    what = counted(net) if options.count else None
    wanted = (*net.memory_names, net.output_name, net.input.name)
    ways = (what.fan_out,) if what else ()
    outcomes = engine.spike_batches(values, wanted, *ways)
    if outcomes is None:
        return None
    counter = FusedCounter(net, what, values.shape[:2]) if what else None
    batches = []
    for outcome, done in outcomes:
        if not outcome.is_binary:
            return None
        if counter is not None:
            counter.add(outcome.counts, done)
        batches.append(outcome.outputs)
        tell(options, done, values)
    run = _gathered(net, batches, counter)
    return replace(run, entered=PackedFrames([batch[net.input.name] for batch in batches]))


def _gathered(
    net: Graph, batches: list[dict[str, Output]], counter: FusedCounter | None
) -> IntegerRun:
    readout = np.concatenate([batch[net.output_name].unpack() for batch in batches], axis=1)
    counts = counter.counts() if counter else None
    messages = joined(
        [{name: batch[name].unpack() for name in net.message_names} for batch in batches]
    )
    spikes = PackedSpikes(net.lif_names, batches)
    return IntegerRun(readout, spikes, messages_of(net, messages), counted=counts)


def _batches(
    engine: Engine, frames: IntArray, wanted: tuple[str, ...], counter: FusedCounter | None
) -> Iterator[tuple[dict[str, Output], int]]:
    if counter is None:
        yield from engine.batches(frames, wanted, in_range=True)
        return
    for outcome, done in engine.counted_batches(frames, wanted, counter.fan_out):
        counter.add(outcome.counts, done)
        yield outcome.outputs, done
