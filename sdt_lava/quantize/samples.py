"""Calibration data, and how many of its samples are used: fewer for large networks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.ir import Graph
from sdt_lava.ir.numerics import IntArray
from sdt_lava.ir.work import multiplications
from sdt_lava.quantize.groups import LifGroup

# The update of a neuron costs about as much as this many multiplications.
_NEURON_WORK = 200
_FEWEST_SAMPLES = 4


@dataclass(frozen=True)
class CalibrationData:
    """Input data on which scales are chosen, and ranges are measured that cannot be proved.

    Parameters
    ----------
    x : ndarray
        ``(B, C, H, W)`` or ``(B, T, C, H, W)``, in the units of the model's input.
    name : str
        Name of the data, for the report.
    choose : bool
        Whether to choose scales on the data; otherwise ranges are only measured.
    """

    x: NDArray[np.floating[Any]]
    name: str
    choose: bool = True


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
