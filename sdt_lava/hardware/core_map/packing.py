"""Pack slices of different populations on shared cores."""

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
    """Assignment of slices to cores.

    Parameters
    ----------
    starts : mapping of str to int
        Row of the first slice of each population; its other slices follow.
    usage : ndarray of int64
        Usage ``(slices, resources)``, in the order of `RESOURCES`.
    core : ndarray of int64
        Core of each slice, ``(slices,)``.
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
    """Pack slices on cores, using the best of three first-fit orders.

    Two slices of one population never share a core, because a coarser tiling would be better.

    Parameters
    ----------
    demand : Demand
        Demand of slices.
    populations : tuple of Population
        Populations in topological order.
    tilings : mapping of str to Tiling
        Tilings of the populations; every slice fits on a core.
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
    # Equal slices of a population are consecutive in every order.
    orders = (
        np.lexsort((*usage.T, rank_of, -fullness.max(axis=1))),
        np.lexsort((*usage.T, rank_of, -fullness.sum(axis=1))),
        np.lexsort((*usage.T, rank_of)),
    )
    packed = [_first_fit(usage, rank_of, capacity, order) for order in orders]
    core = _in_order(min(packed, key=lambda core: int(core.max())))
    return Packing(starts, usage, core, int(core.max()) + 1)


def _in_order(core: IntArray) -> IntArray:
    """Renumber cores by their first slices, which are in the order of the data flow."""
    _, first, index = np.unique(core, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[index]


def _first_fit(usage: IntArray, rank: IntArray, capacity: IntArray, order: IntArray) -> IntArray:
    """Put each slice on the core with room whose populations are nearest in the data flow."""
    core = np.zeros(len(usage), np.int64)
    free = np.tile(capacity, (len(usage), 1))
    # Ranks of the first and the last population on each core.
    first, last = np.empty(len(usage), np.int64), np.empty(len(usage), np.int64)
    # Cores that already hold a slice of each population.
    holds: dict[int, list[IntArray]] = {}
    cores = 0
    for items in _equal_items(usage, rank, order):
        need, own_rank = usage[items[0]], int(rank[items[0]])
        room = (free[:cores] >= need).all(axis=1)
        for occupied in holds.get(own_rank, []):
            room[occupied] = False
        candidates = np.flatnonzero(room)
        distance = np.maximum(first[candidates] - own_rank, own_rank - last[candidates])
        targets = candidates[np.argsort(distance, kind="stable")][: len(items)]
        new_cores = np.arange(cores, cores + len(items) - len(targets))
        first[new_cores] = last[new_cores] = own_rank
        cores += len(new_cores)
        targets = np.concatenate([targets, new_cores])
        core[items] = targets
        holds.setdefault(own_rank, []).append(targets)
        free[targets] -= need
        first[targets], last[targets] = (
            np.minimum(first[targets], own_rank),
            np.maximum(last[targets], own_rank),
        )
    return core


def _equal_items(usage: IntArray, rank: IntArray, order: IntArray) -> list[IntArray]:
    """Split an order where the population or the demand of the slices changes."""
    rows = np.column_stack([rank, usage])[order]
    changes = np.flatnonzero((rows[1:] != rows[:-1]).any(axis=1)) + 1
    return np.split(order, changes)
