"""Put slices of different populations together on cores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sdt_lava.compiler.core_map.demand import Demand
from sdt_lava.compiler.core_map.limits import RESOURCES
from sdt_lava.compiler.core_map.tiling import Tiling
from sdt_lava.compiler.core_map.wiring import Population
from sdt_lava.numerics import IntArray


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
    """Share cores among slices, as few cores as two orders of first-fit find.

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
    orders = (
        np.argsort(-fullness.max(axis=1), kind="stable"),
        np.argsort(-fullness.sum(axis=1), kind="stable"),
        np.arange(len(usage)),
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
    free = np.empty_like(usage)
    # Populations of a core, by the rank of the first and of the last one.
    first, last = np.empty(len(usage), np.int64), np.empty(len(usage), np.int64)
    members: list[set[int]] = []
    smallest = usage.min(axis=0)
    open_cores = np.empty(0, np.int64)
    for item in order:
        mine = int(rank[item])
        room = open_cores[(free[open_cores] >= usage[item]).all(axis=1)]
        room = np.array([index for index in room if mine not in members[index]], np.int64)
        if len(room):
            distance = np.maximum(first[room] - mine, mine - last[room])
            chosen = int(room[np.argmin(distance)])
        else:
            chosen = len(members)
            members.append(set())
            free[chosen] = capacity
            first[chosen] = last[chosen] = mine
            open_cores = np.append(open_cores, chosen)
        core[item] = chosen
        members[chosen].add(mine)
        free[chosen] -= usage[item]
        first[chosen], last[chosen] = min(first[chosen], mine), max(last[chosen], mine)
        if (free[chosen] < smallest).any():
            open_cores = open_cores[open_cores != chosen]
    return core
