"""Back end 'engine'."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sdt_lava.backends.integer_run import (
    IntegerRun,
    RunOptions,
    in_batches,
    joined,
    messages_of,
    tell,
    unpacked,
    what_runs,
)
from sdt_lava.backends.recorded import PackedFrames, PackedSpikes
from sdt_lava.counts.fused_counts import FusedCounter, counted
from sdt_lava.ir import Graph
from sdt_lava.ir.encoding import to_time_first
from sdt_lava.ir.numerics import IntArray, NeuronStates

if TYPE_CHECKING:
    from sdt_lava.engine import Engine
    from sdt_lava.engine.plan.plan import Output
    from sdt_lava.ir.bounds import Extremes


def run_engine(net: Graph, frames: IntArray, options: RunOptions) -> IntegerRun:
    """Run a network in the engine."""
    from sdt_lava.engine import Engine

    graph, wanted = what_runs(net, options)
    # What is compiled has been looked at.
    strict = options.strict and options.compiled is None
    engine = Engine(graph, strict=strict, tracked=False, options=options.engine)
    if not options.reset:
        return unpacked(net, _stream(engine, frames, options, wanted), options)
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


def run_spikes(net: Graph, x: Any, options: RunOptions) -> IntegerRun | None:
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


def check_in_engine(net: Graph, frames: IntArray, options: RunOptions) -> None:
    """Look whether every value of a run fits its register.

    Raises
    ------
    NumericOverflowError
        If one does not.
    """
    _look(net, frames, options, strict=True, tracked=False)


def engine_extremes(net: Graph, frames: IntArray, options: RunOptions) -> dict[str, Extremes]:
    """Return the largest magnitudes that an input reaches in each population of neurons."""
    return _look(net, frames, options, strict=options.strict, tracked=True)


def _look(
    net: Graph, frames: IntArray, options: RunOptions, *, strict: bool, tracked: bool
) -> dict[str, Extremes]:
    from sdt_lava.engine import Engine

    engine = Engine(net, strict=strict, tracked=tracked, options=options.engine)
    if options.reset:
        for _ in engine.batches(frames, ()):
            pass
    else:
        _stream(engine, frames, replace(options, on_progress=None), ())
    return engine.extremes


def _stream(
    engine: Engine, frames: IntArray, options: RunOptions, wanted: tuple[str, ...]
) -> dict[str, IntArray]:
    def run(part: IntArray, states: NeuronStates | None = None) -> dict[str, IntArray]:
        return engine.run(part, keep=wanted, states=states)

    return in_batches(engine.graph, frames, run, options)
