"""Count the messages between cores and chips."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sdt_lava.hardware.core_map.activity import Activity
from sdt_lava.hardware.core_map.layout import Layout
from sdt_lava.ir.numerics import IntArray


@dataclass(frozen=True)
class Traffic:
    """Exact numbers of messages of a run, by the distance they travel.

    A message is an event that a neuron sends to one core over one connection, so a spike that four
    cores read is four messages.

    Parameters
    ----------
    within_core : int
        Messages from a core to itself.
    between_cores : int
        Messages to another core of the same chip.
    between_chips : int
        Messages to another chip.
    hops : int
        One hop for each message that leaves its core, and one for each chip border it crosses.
    from_host, to_host : int
        Events of the input, counted for each core that they reach, and events of the output.
    steps : int
        Steps of the run: samples times steps per sample; 1 if the activity is assumed.
    source : str
        Origin of the events.
    """

    within_core: int
    between_cores: int
    between_chips: int
    hops: int
    from_host: int
    to_host: int
    steps: int
    source: str

    @property
    def messages(self) -> int:
        """All messages between cores, including those within a core."""
        return self.within_core + self.between_cores + self.between_chips

    def per_step(self, name: str) -> float:
        """Return the average of a count per step, as in ``traffic.per_step('between_chips')``."""
        return float(getattr(self, name)) / self.steps

    def to_dict(self) -> dict[str, Any]:
        """Return the traffic as plain values, for JSON."""
        return asdict(self)


def measure_traffic(
    layout: Layout, chip: IntArray, distances: IntArray, activity: Activity
) -> Traffic:
    """Count the messages of an activity by distance.

    Parameters
    ----------
    layout : Layout
        Slices and their cores.
    chip : ndarray of int
        Chip of each core.
    distances : ndarray of int
        Chip borders between chips.
    activity : Activity
        Events of every neuron.
    """
    source, reader, count = layout.links(activity)
    same_core = source == reader
    same_chip = chip[source] == chip[reader]
    borders = distances[chip[source], chip[reader]]
    return Traffic(
        within_core=int(count[same_core].sum()),
        between_cores=int(count[same_chip & ~same_core].sum()),
        between_chips=int(count[~same_chip].sum()),
        hops=int((count * (~same_core + borders)).sum()),
        from_host=int(layout.messages_from_host(activity).sum()),
        to_host=_to_host(layout, activity),
        steps=activity.steps,
        source=activity.source,
    )


def _to_host(layout: Layout, activity: Activity) -> int:
    name = layout.wiring.output
    if name is None:
        return 0
    events = activity.events.get(name)
    return layout.wiring.populations[name].size if events is None else int(np.sum(events))
