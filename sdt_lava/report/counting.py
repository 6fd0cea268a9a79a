"""Count events and operations of a run, for its own or another compiled graph and for cores."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sdt_lava.counts.counts import Counts
from sdt_lava.counts.events import count_events

if TYPE_CHECKING:
    from sdt_lava.backends.result import Result
    from sdt_lava.hardware.core_map import CoreMap
    from sdt_lava.ir import Graph


def count(result: Result, graph: Graph | None = None, core_map: CoreMap | None = None) -> Counts:
    """Count the events and operations of a run.

    For the default graph, this is ``result.counts``, which is computed only once.

    Parameters
    ----------
    result : Result
        Run of an integer back end.
    graph : Graph, optional
        Compiled graph whose populations and connections are counted; by default the graph with
        relays for shortcuts.
    core_map : CoreMap, optional
        Cores of a target; adds the messages between them, ``counts.messages``.

    Returns
    -------
    Counts
        Exact integers.

    Raises
    ------
    DataError
        If the run is of the float model, whose operations are not those of the hardware.
    """
    if graph is None:
        counts = result.counts
    else:
        net, frames = result.integer_run("counts")
        counts = count_events(net, frames, result.sent, graph)
    if core_map is None:
        return counts
    traffic = core_map.traffic(result)
    between = traffic.between_cores + traffic.between_chips
    return replace(counts, messages={"spike_between_cores": between, "hop": traffic.hops})
