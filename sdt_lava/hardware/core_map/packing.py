"""Put slices of different populations together on cores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sdt_lava.hardware.core_map.demand import Demand
from sdt_lava.hardware.core_map.limits import RESOURCES
from sdt_lava.hardware.core_map.tiling import Tiling
from sdt_lava.hardware.core_map.wiring import Population
from sdt_lava.ir.numerics import IntArray


@dataclass(frozen=True, eq=False)
class Packing:
    """Which core holds each slice.

    Parameters
    ----------
    starts : mapping of str to int
        Row of the first slice of each population; the others follow.
    usage : ndarray of int64
        ``(slices, resources)``, in the order of `RESOURCES`.
    core : ndarray of int64
        ``(slices,)``.
    cores : int
        Number of cores.
    """

    starts: Mapping[str, int]
    usage: IntArray
    core: IntArray
    cores: int

    def cores_of(self, name: str, slices: int) -> IntArray:
        """Return the core of each slice of a population."""
        start = self.starts[name]
        return self.core[start : start + slices]


def pack(
    demand: Demand, populations: tuple[Population, ...], tilings: Mapping[str, Tiling]
) -> Packing:
    """Share cores among slices, as few cores as three orders of first fit find.

    Two slices of one population never share a core: cutting it differently would be better.

    Parameters
    ----------
    demand : Demand
        Needs of slices.
    populations : tuple of Population
        In an order in which signals reach them.
    tilings : mapping of str to Tiling
        How they are cut; every slice fits on a core.
    """
    usages: list[IntArray] = []
    ranks: list[IntArray] = []
    starts: dict[str, int] = {}
    for rank, population in enumerate(populations):
        tiling = tilings[population.name]
        starts[population.name] = sum(len(part) for part in ranks)
        needs = demand.usage(population, tiling, tilings)
        usages.append(np.stack([needs[name].ravel() for name in RESOURCES], axis=1))
        ranks.append(np.full(tiling.slices, rank))
    usage, rank_of = np.concatenate(usages), np.concatenate(ranks)
    capacity = np.array([demand.limits.capacity[name] for name in RESOURCES], np.int64)
    fullness = usage / np.maximum(capacity, 1)
    # Equal slices of a population come one after the other in every order.
    orders = (
        np.lexsort((*usage.T, rank_of, -fullness.max(axis=1))),
        np.lexsort((*usage.T, rank_of, -fullness.sum(axis=1))),
        np.lexsort((*usage.T, rank_of)),
    )
    packed = [_first_fit(usage, rank_of, capacity, order) for order in orders]
    core = _in_order(min(packed, key=lambda core: int(core.max())))
    return Packing(starts, usage, core, int(core.max()) + 1)


def _in_order(core: IntArray) -> IntArray:
    """Renumber cores in the order of their first slices, which is that of the data flow."""
    _, first, index = np.unique(core, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[index]


def _first_fit(usage: IntArray, rank: IntArray, capacity: IntArray, order: IntArray) -> IntArray:
    """Put each slice on the core, of those with room, that holds the nearest populations."""
    core = np.zeros(len(usage), np.int64)
    free = np.tile(capacity, (len(usage), 1))
    # Populations of a core, by the rank of the first and of the last one.
    first, last = np.empty(len(usage), np.int64), np.empty(len(usage), np.int64)
    # Cores of each population, which get no other slice of it.
    holds: dict[int, list[IntArray]] = {}
    cores = 0
    for items in _equal_items(usage, rank, order):
        need, mine = usage[items[0]], int(rank[items[0]])
        room = (free[:cores] >= need).all(axis=1)
        for taken in holds.get(mine, []):
            room[taken] = False
        candidates = np.flatnonzero(room)
        distance = np.maximum(first[candidates] - mine, mine - last[candidates])
        chosen = candidates[np.argsort(distance, kind="stable")][: len(items)]
        added = np.arange(cores, cores + len(items) - len(chosen))
        first[added] = last[added] = mine
        cores += len(added)
        chosen = np.concatenate([chosen, added])
        core[items] = chosen
        holds.setdefault(mine, []).append(chosen)
        free[chosen] -= need
        first[chosen], last[chosen] = (
            np.minimum(first[chosen], mine),
            np.maximum(last[chosen], mine),
        )
    return core


def _equal_items(usage: IntArray, rank: IntArray, order: IntArray) -> list[IntArray]:
    """Cut an order where the next slice is of another population or needs something else."""
    rows = np.column_stack([rank, usage])[order]
    changes = np.flatnonzero((rows[1:] != rows[:-1]).any(axis=1)) + 1
    return np.split(order, changes)
