"""Back end 'engine'."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sdt_lava.graph import Graph
from sdt_lava.numerics import IntArray, NeuronStates
from sdt_lava.simulate.integer_run import (
    IntegerRun,
    RunOptions,
    in_batches,
    joined,
    tell,
    unpacked,
    what_runs,
)
from sdt_lava.simulate.recorded import PackedSpikes

if TYPE_CHECKING:
    from sdt_lava.quantize.bounds import Extremes
    from sdt_lava.report.fused_counts import FusedCounter
    from sdt_lava.simulate.engine import Engine
    from sdt_lava.simulate.engine.plan.plan import Output


def run_engine(net: Graph, frames: IntArray, options: RunOptions) -> IntegerRun:
    """Run a network in the engine."""
    from sdt_lava.simulate.engine import Engine

    graph, wanted = what_runs(net, options)
    engine = Engine(graph, strict=options.strict, tracked=False, options=options.engine)
    if not options.reset:
        return unpacked(net, _stream(engine, frames, options, wanted), options)
    if options.compiled is not None:
        parts = []
        for outputs, done in engine.batches(frames, wanted, in_range=True):
            parts.append({name: output.unpack() for name, output in outputs.items()})
            tell(options, done, frames)
        return unpacked(net, joined(parts), options)
    counter = _counter(engine, frames) if options.count else None
    batches = []
    for outputs, done in _batches(engine, frames, wanted, counter):
        batches.append(outputs)
        tell(options, done, frames)
    readout = np.concatenate([batch[net.output_name].unpack() for batch in batches], axis=1)
    spikes = PackedSpikes(net.lif_names, batches)
    return IntegerRun(readout, spikes, counted=counter.counts() if counter else None)


def _counter(engine: Engine, frames: IntArray) -> FusedCounter | None:
    from sdt_lava.report.fused_counts import FusedCounter, counted

    what = counted(engine.graph)
    if what is None or not engine.can_count(frames):
        return None
    return FusedCounter(engine.graph, what, frames)


def _batches(
    engine: Engine, frames: IntArray, wanted: tuple[str, ...], counter: FusedCounter | None
) -> Iterator[tuple[dict[str, Output], int]]:
    if counter is None:
        yield from engine.batches(frames, wanted, in_range=True)
        return
    for outcome, done in engine.counted_batches(frames, wanted, counter.fan_out):
        counter.add(outcome.counts, done)
        yield outcome.outputs, done


def engine_extremes(net: Graph, frames: IntArray, options: RunOptions) -> dict[str, Extremes]:
    """Return the largest magnitudes that an input reaches in each population of neurons."""
    from sdt_lava.simulate.engine import Engine

    engine = Engine(net, strict=options.strict, options=options.engine)
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
