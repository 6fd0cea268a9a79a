"""Place cores on chips so that few messages travel far.

There are two starting points: the order of the data flow, and a greedy order that always takes the
core with the most messages to the current chip. Whole chips are then swapped, and then cores, for
as long as this reduces the cost. The placement is deterministic; the seed determines the order of
attempts.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from sdt_lava.ir.numerics import IntArray

# Limit on the cores tried in all passes together; the first passes save most.
_MOST_TRIES = 100_000
# Beyond this many chips, or pairs of a core and a chip, exchanges are skipped, and cores keep the
# order in which chips were filled.
_MOST_CHIPS = 400
_MOST_PAIRS = 100_000_000
# Up to this many cores, random starting points are tried as well.
_SMALL = 32
_RANDOM_STARTS = 64
# Number of chips tried for a core.
_BEST_CHIPS = 3


@dataclass(frozen=True, eq=False)
class Links:
    """Messages between cores.

    Parameters
    ----------
    matrix : csr_matrix of int64
        Messages in both directions, ``(cores, cores)``; symmetric, with an empty diagonal.
    """

    matrix: csr_matrix

    @classmethod
    def of(cls, source: IntArray, reader: IntArray, count: IntArray, cores: int) -> Links:
        """Sum the messages between each pair of cores."""
        between = source != reader
        pairs = (count[between], (source[between], reader[between]))
        one_way = csr_matrix(pairs, shape=(cores, cores), dtype=np.int64)
        return cls((one_way + one_way.T).tocsr())

    def cost(self, chip: IntArray, distances: IntArray) -> int:
        """Return the sum of messages times the chip borders they cross."""
        table = self.matrix.tocoo()
        return int((table.data * distances[chip[table.row], chip[table.col]]).sum()) // 2


def place(links: Links, distances: IntArray, cores_per_chip: int, seed: int = 0) -> IntArray:
    """Assign a chip to each core.

    Parameters
    ----------
    links : Links
        Messages between cores, which are numbered in the order of the data flow.
    distances : ndarray of int
        Chip borders between chips, ``(chips, chips)``; there are no more chips than needed.
    cores_per_chip : int
        Number of cores per chip.
    seed : int
        Seed for the order of attempts.
    """
    cores, chips = links.matrix.shape[0], len(distances)
    if chips == 1:
        return np.zeros(cores, np.int64)
    rng = np.random.default_rng(seed)
    starts = [np.arange(cores), _greedy_order(links, cores_per_chip)]
    if cores <= _SMALL:
        starts += [rng.permutation(cores) for _ in range(_RANDOM_STARTS)]
    placements = []
    for order in starts:
        chip = np.empty(cores, np.int64)
        chip[order] = np.arange(cores) // cores_per_chip
        placements.append(_improved(links, chip, distances, cores_per_chip, rng))
    return min(placements, key=lambda chip: links.cost(chip, distances))


def _improved(
    links: Links,
    chip: IntArray,
    distances: IntArray,
    cores_per_chip: int,
    rng: np.random.Generator,
) -> IntArray:
    """Swap chips, then cores, and repeat while the cost decreases."""
    cost, tries = links.cost(chip, distances), _MOST_TRIES
    if len(distances) > _MOST_CHIPS or len(distances) * len(chip) > _MOST_PAIRS:
        return chip
    while tries > 0:
        swapped = _swap_chips(links, chip, distances)
        refinement = _Refinement(links, swapped, distances, cores_per_chip)
        improved = True
        while improved and tries > 0:
            improved = refinement.improve(rng.permutation(len(chip))[:tries])
            tries -= len(chip)
        new_cost = links.cost(refinement.chip, distances)
        if new_cost >= cost:
            break
        chip, cost = refinement.chip, new_cost
    return chip


def _greedy_order(links: Links, cores_per_chip: int) -> IntArray:
    """Fill one chip after another with the core that has the most messages to it."""
    matrix = links.matrix
    cores = matrix.shape[0]
    order: list[int] = []
    done = np.zeros(cores, bool)
    to_chip = np.zeros(cores, np.int64)
    heap: list[tuple[int, int]] = []
    first = 0
    while len(order) < cores:
        if len(order) % cores_per_chip == 0:
            heap.clear()
            to_chip[:] = 0
        while heap and (done[heap[0][1]] or -heap[0][0] != to_chip[heap[0][1]]):
            heapq.heappop(heap)
        while first < cores and done[first]:
            first += 1
        core = heapq.heappop(heap)[1] if heap else first
        done[core] = True
        order.append(core)
        row = slice(matrix.indptr[core], matrix.indptr[core + 1])
        neighbours = matrix.indices[row]
        to_chip[neighbours] += matrix.data[row]
        for neighbour in neighbours[~done[neighbours]]:
            heapq.heappush(heap, (-int(to_chip[neighbour]), int(neighbour)))
    return np.array(order, np.int64)


def _swap_chips(links: Links, chip: IntArray, distances: IntArray) -> IntArray:
    """Exchange the contents of whole chips while this reduces the cost."""
    chips = len(distances)
    table = links.matrix.tocoo()
    pairs = (table.data, (chip[table.row], chip[table.col]))
    between = csr_matrix(pairs, shape=(chips, chips)).toarray()
    np.fill_diagonal(between, 0)
    place_of = np.arange(chips)
    improved = True
    while improved:
        improved = False
        for first in range(chips):
            chip_distances = distances[place_of][:, place_of]
            saved = ((between[first] - between) * (chip_distances[first] - chip_distances)).sum(
                axis=1
            )
            # Messages between the two travel as far as before.
            saved -= 2 * between[first] * chip_distances[first]
            second = int(np.argmax(saved))
            if saved[second] > 0:
                place_of[[first, second]] = place_of[[second, first]]
                improved = True
    return place_of[chip]


class _Refinement:
    """Local search that exchanges single cores between chips or moves them to free places.

    Parameters
    ----------
    links : Links
        Messages between cores.
    chip : ndarray of int
        Chip of each core; changed in place.
    distances : ndarray of int
        Chip borders between chips.
    cores_per_chip : int
        Number of cores per chip.
    """

    def __init__(
        self, links: Links, chip: IntArray, distances: IntArray, cores_per_chip: int
    ) -> None:
        self.chip = chip
        self._matrix = links.matrix
        self._distances = distances
        chips = len(distances)
        self._free = cores_per_chip - np.bincount(chip, minlength=chips)
        ones = np.ones(len(chip), np.int64)
        on_chip = csr_matrix((ones, (np.arange(len(chip)), chip)), shape=(len(chip), chips))
        # Cost of each core's messages if the core were on each chip, (cores, chips).
        self._cost = np.asarray((links.matrix @ on_chip) @ distances)

    def improve(self, order: IntArray) -> bool:
        """Try every core once, and return whether the cost decreased."""
        improved = False
        for core in order:
            here = self.chip[core]
            saved = self._cost[core, here] - self._cost[core]
            for there in self._promising(saved):
                if self._try(int(core), int(there)):
                    improved = True
                    break
        return improved

    @staticmethod
    def _promising(saved: IntArray) -> IntArray:
        """Return the chips that would be better for a core, best first."""
        better = np.flatnonzero(saved > 0)
        return better[np.argsort(-saved[better], kind="stable")][:_BEST_CHIPS]

    def _try(self, core: int, there: int) -> bool:
        here = int(self.chip[core])
        if self._free[there] > 0:
            self._free[here] += 1
            self._free[there] -= 1
            self._move(core, there)
            return True
        others = np.flatnonzero(self.chip == there)
        saved = self._cost[others, there] - self._cost[others, here]
        saved = saved + self._cost[core, here] - self._cost[core, there]
        # Messages between the two travel as far as before.
        saved -= 2 * self._messages_of(core)[others] * self._distances[here, there]
        best = int(np.argmax(saved))
        if saved[best] <= 0:
            return False
        self._move(core, there)
        self._move(int(others[best]), here)
        return True

    def _messages_of(self, core: int) -> IntArray:
        row = slice(self._matrix.indptr[core], self._matrix.indptr[core + 1])
        messages = np.zeros(len(self.chip), np.int64)
        messages[self._matrix.indices[row]] = self._matrix.data[row]
        return messages

    def _move(self, core: int, there: int) -> None:
        row = slice(self._matrix.indptr[core], self._matrix.indptr[core + 1])
        change = self._distances[there] - self._distances[self.chip[core]]
        neighbours = self._matrix.indices[row]
        self._cost[neighbours] += np.outer(self._matrix.data[row], change)
        self.chip[core] = there
