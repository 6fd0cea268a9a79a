"""All ways to put the neurons of a tiny network on cores, and all ways to put cores on chips."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from sdt_lava.hardware.core_map import RESOURCES
from tests.hardware.core_map.validator import Placement


def partitions(size: int) -> Iterator[list[int]]:
    """Yield every partition of some neurons into cores, as the core of each neuron."""

    def extend(cores: list[int], used: int) -> Iterator[list[int]]:
        if len(cores) == size:
            yield list(cores)
            return
        for core in range(used + 1):
            yield from extend([*cores, core], max(used, core + 1))

    yield from extend([], 0)


def fewest_cores(placement: Placement, target) -> int | None:
    """Return the least number of cores over all partitions, or None if nothing fits."""
    names = list(placement.core)
    sizes = [len(placement.core[name]) for name in names]
    ends = np.cumsum(sizes).tolist()
    best: int | None = None
    for cores in partitions(sum(sizes)):
        used = max(cores) + 1
        if best is not None and used >= best:
            continue
        parts = [cores[end - size : end] for size, end in zip(sizes, ends, strict=True)]
        trial = Placement(
            placement.compiled,
            placement.wires,
            dict(zip(names, parts, strict=True)),
            placement.shared,
        )
        if _fits(trial, target):
            best = used
    return best


def _fits(placement: Placement, target) -> bool:
    for need in placement.needs(target).values():
        for resource, limit_name in RESOURCES.items():
            limit = target.limit(limit_name)
            if limit is not None and need[resource] > limit:
                return False
    return True


def cheapest_placement(messages: np.ndarray, distances: np.ndarray, cores_per_chip: int) -> int:
    """Return the least sum of messages times chip borders over all placements.

    ``messages`` is ``(cores, cores)``, symmetric, with as many cores as there are places.
    """
    places = np.arange(len(messages)) // cores_per_chip
    apart = distances[places][:, places]
    costs = (
        (messages * apart[np.ix_(order, order)]).sum() // 2
        for order in map(list, permutations(range(len(messages))))
    )
    return int(min(costs))
