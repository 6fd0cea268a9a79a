"""Find the ranges of values in a run, and check that they fit their registers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from sdt_lava.backends.integer_run import in_batches
from sdt_lava.backends.options import RunOptions
from sdt_lava.ir import Graph
from sdt_lava.ir.numerics import IntArray, NeuronStates

if TYPE_CHECKING:
    from sdt_lava.engine import Engine
    from sdt_lava.ir.bounds import Extremes


def check_in_engine(net: Graph, frames: IntArray, options: RunOptions) -> None:
    """Check with the engine that every value of a run fits its register.

    Raises
    ------
    NumericOverflowError
        If a value does not fit its register.
    """
    _observe(net, frames, options, strict=True, tracked=False)


def check_in_reference(net: Graph, frames: IntArray, options: RunOptions) -> None:
    """Check with the reference, without torch, that every value of a run fits its register.

    Raises
    ------
    NumericOverflowError
        If a value does not fit its register.
    """
    from sdt_lava.ir.reference import run_reference

    def run(part: IntArray, states: NeuronStates | None = None) -> dict[str, IntArray]:
        run_reference(net, part, states=states)
        return {}

    in_batches(net, frames, run, replace(options, batch_size=None, on_progress=None))


def engine_extremes(net: Graph, frames: IntArray, options: RunOptions) -> dict[str, Extremes]:
    """Return the largest magnitudes that each population of neurons reaches on an input."""
    return _observe(net, frames, options, strict=options.strict, tracked=True)


def stream_in_engine(
    engine: Engine, frames: IntArray, options: RunOptions, wanted: tuple[str, ...]
) -> dict[str, IntArray]:
    """Run an input in parts, each from rest or from the state in which the last one ended."""
    from sdt_lava.engine import RunRequest

    def run(part: IntArray, states: NeuronStates | None = None) -> Mapping[str, IntArray]:
        return engine.run(part, RunRequest(wanted, states=states))

    return in_batches(engine.graph, frames, run, options)


def _observe(
    net: Graph, frames: IntArray, options: RunOptions, *, strict: bool, tracked: bool
) -> dict[str, Extremes]:
    from sdt_lava.engine import Engine

    engine = Engine(net, strict=strict, tracked=tracked, options=options.engine)
    if options.reset:
        engine.run(frames, ())
    else:
        stream_in_engine(engine, frames, replace(options, on_progress=None), ())
    return engine.extremes
