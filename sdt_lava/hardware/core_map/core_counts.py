"""Count the work of each core in a run, as a model of its speed needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sdt_lava.hardware.core_map.activity import Activity
from sdt_lava.hardware.core_map.layout import Layout
from sdt_lava.ir.numerics import IntArray


@dataclass(frozen=True, eq=False)
class CoreCounts:
    """Exact counts for each core over all steps of an activity.

    Parameters
    ----------
    synops : ndarray of int64
        Synaptic operations, ``(cores,)``.
    neuron_updates : ndarray of int64
        Updates of neurons, ``(cores,)``; every neuron is updated in every step.
    messages_out, messages_in : ndarray of int64
        Messages to other cores, and messages from other cores and the host, ``(cores,)``.
    steps : int
        Number of steps of the activity.
    """

    synops: IntArray
    neuron_updates: IntArray
    messages_out: IntArray
    messages_in: IntArray
    steps: int

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain values, for JSON: one list over cores for each count."""
        return {
            "steps": self.steps,
            **{
                name: [int(value) for value in getattr(self, name)]
                for name in ("synops", "neuron_updates", "messages_out", "messages_in")
            },
        }


def count_by_core(layout: Layout, activity: Activity) -> CoreCounts:
    """Count the operations, updates and messages of each core.

    Parameters
    ----------
    layout : Layout
        Slices and their cores.
    activity : Activity
        Events of every neuron.
    """
    cores = layout.packing.cores
    source, reader, count = layout.links(activity)
    leaves = source != reader
    sent, received = np.zeros((2, cores), np.int64)
    np.add.at(sent, source[leaves], count[leaves])
    np.add.at(received, reader[leaves], count[leaves])
    return CoreCounts(
        synops=layout.synops(activity),
        neuron_updates=_neurons(layout) * activity.steps,
        messages_out=sent,
        messages_in=received + layout.messages_from_host(activity),
        steps=activity.steps,
    )


def _neurons(layout: Layout) -> IntArray:
    total = np.zeros(layout.packing.cores, np.int64)
    for name, tiling in layout.tilings.items():
        np.add.at(total, layout.cores_of(name), tiling.neurons.ravel())
    return total
