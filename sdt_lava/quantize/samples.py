"""Choose how many calibration samples are used: fewer for large networks."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import numpy as np

from sdt_lava.ir import Graph
from sdt_lava.ir.numerics import IntArray
from sdt_lava.ir.work import multiplications
from sdt_lava.quantize.groups import LifGroup

# The update of a neuron costs about as much as this many multiplications.
_NEURON_WORK = 200
_FEWEST_SAMPLES = 4


def work_of(graph: Graph, groups: Iterable[LifGroup]) -> int:
    """Return the work of one sample in the given groups, in multiplications."""
    total = 0
    for group in groups:
        total += sum(_NEURON_WORK * prod(graph.shapes[name]) for name in group.lifs)
        total += multiplications(graph, group.synapses)
    return total * graph.timesteps


def spread(available: int, work: int, most_work: int) -> IntArray:
    """Return evenly spaced indices of as many samples as a work limit allows.

    The indices are evenly spaced because data are often sorted by class.

    Parameters
    ----------
    available : int
        Number of samples.
    work : int
        Work of one sample.
    most_work : int
        Limit for all samples together; a few samples are used even if they exceed it.
    """
    count = min(available, max(_FEWEST_SAMPLES, most_work // max(work, 1)))
    return np.linspace(0, available - 1, count).round().astype(np.int64)
