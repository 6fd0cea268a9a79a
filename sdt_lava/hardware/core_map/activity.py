"""Represent how often each neuron sends events, as measured in a run or assumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sdt_lava.errors import DataError
from sdt_lava.ir import Graph, Signal
from sdt_lava.ir.numerics import IntArray


class Run(Protocol):
    """The part of a result of :func:`sdt_lava.simulate` from which activity is measured."""

    @property
    def sent(self) -> Mapping[str, NDArray[Any]]:
        """Messages that each population of neurons with memory sent."""

    def integer_run(self, what: str) -> tuple[Graph, IntArray]:
        """Return the network and its input; raise DataError if there is no integer network."""


@dataclass(frozen=True, eq=False)
class Activity:
    """Numbers of events of every neuron over a number of steps.

    Parameters
    ----------
    events : mapping of str to ndarray of int64
        Spikes, or graded spikes other than 0, of each population including the input, ``(*shape)``.
        If a population is missing, each of its neurons sends one event per step.
    steps : int
        Steps over which events are counted: samples times steps per sample.
    source : str
        Origin of the numbers, for reports.
    """

    events: Mapping[str, IntArray]
    steps: int
    source: str

    @property
    def is_measured(self) -> bool:
        """Whether the events were counted in a run."""
        return bool(self.events)


ASSUMED = Activity({}, 1, "assumed: every neuron sends in every step")


def as_activity(graph: Graph, run: Run | Activity | None) -> Activity:
    """Measure the activity of a run.

    Parameters
    ----------
    graph : Graph
        Compiled graph.
    run : Run, Activity or None
        Result of an integer back end on the same network. None assumes that every neuron sends in
        every step.

    Raises
    ------
    DataError
        If the result belongs to another network or to the float model.
    """
    if run is None:
        return ASSUMED
    if isinstance(run, Activity):
        activity = run
    else:
        _check_same(graph, run)
        activity = _measure(graph, run)
    for name, events in activity.events.items():
        if name not in graph.nodes or graph.shapes[name] != np.shape(events):
            raise DataError(
                "activity",
                f"events of {name!r} of shape {np.shape(events)}",
                f"populations of the mapped network: {graph.shapes.get(name, 'no such name')}",
            )
    return activity


def _check_same(graph: Graph, result: Run) -> None:
    _, frames = result.integer_run("traffic")
    recorded = {name: values.shape[2:] for name, values in result.sent.items()}
    recorded[graph.input.name] = frames.shape[2:]
    for name in (graph.input.name, *graph.memory_names):
        if recorded.get(name) != graph.shapes[name]:
            raise DataError(
                "run",
                f"{name!r} of shape {recorded.get(name, 'none')}",
                f"{graph.shapes[name]}, as in the mapped network",
            )


def _measure(graph: Graph, result: Run) -> Activity:
    from sdt_lava.counts.events import replay

    _, frames = result.integer_run("traffic")
    steps, samples = frames.shape[:2]
    populations = [name for name in graph.order if graph.signals[name] is not Signal.CURRENT]
    events = {name: np.zeros(graph.shapes[name], np.int64) for name in populations}
    for _, values in replay(graph, frames, result.sent, populations):
        for name in populations:
            events[name] += np.count_nonzero(values[name], axis=(0, 1))
    return Activity(events, steps * samples, f"measured: {samples} samples of {steps} steps")
