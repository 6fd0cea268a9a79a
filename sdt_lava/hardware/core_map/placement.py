"""Put cores on chips so that few messages travel far.

The order of the data flow and a greedy order that always takes the core with most messages to the
present chip are two starting points; whole chips are then swapped, and then cores, as long as
that saves anything. It is deterministic: the seed orders what is tried.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from sdt_lava.ir.numerics import IntArray

# Cores that are tried in all passes together: the first passes save most.
_MOST_TRIES = 100_000
# Beyond this many chips, or this many pairs of a core and a chip, exchanges are left out: cores
# then stay in the order in which chips were filled.
_MOST_CHIPS = 400
_MOST_PAIRS = 100_000_000
# Up to this many cores more starting points are tried.
_SMALL = 32
_RANDOM_STARTS = 64
# Chips that are tried for a core.
_BEST_CHIPS = 3


@dataclass(frozen=True, eq=False)
class Links:
    """Messages between cores.

    Parameters
    ----------
    matrix : csr_matrix of int64
        ``(cores, cores)``, symmetric: messages in both directions; nothing on the diagonal.
    """

    matrix: csr_matrix

    @classmethod
    def of(cls, source: IntArray, reader: IntArray, count: IntArray, cores: int) -> Links:
        """Add up messages from core to core."""
        apart = source != reader
        pairs = (count[apart], (source[apart], reader[apart]))
        one_way = csr_matrix(pairs, shape=(cores, cores), dtype=np.int64)
        return cls((one_way + one_way.T).tocsr())

    def cost(self, chip: IntArray, distances: IntArray) -> int:
        """Return the sum of messages times the chip borders that they cross."""
        table = self.matrix.tocoo()
        return int((table.data * distances[chip[table.row], chip[table.col]]).sum()) // 2


def place(links: Links, distances: IntArray, cores_per_chip: int, seed: int = 0) -> IntArray:
    """Return the chip of each core.

    Parameters
    ----------
    links : Links
        Messages between cores, which are numbered in the order of the data flow.
    distances : ndarray of int
        ``(chips, chips)``; there are just enough chips.
    cores_per_chip : int
        Cores of a chip.
    seed : int
        Orders what is tried.
    """
    cores, chips = links.matrix.shape[0], len(distances)
    if chips == 1:
        return np.zeros(cores, np.int64)
    rng = np.random.default_rng(seed)
    starts = [np.arange(cores), _greedy_order(links, cores_per_chip)]
    if cores <= _SMALL:
        starts += [rng.permutation(cores) for _ in range(_RANDOM_STARTS)]
    placed = []
    for order in starts:
        chip = np.empty(cores, np.int64)
        chip[order] = np.arange(cores) // cores_per_chip
        placed.append(_improved(links, chip, distances, cores_per_chip, rng))
    return min(placed, key=lambda chip: links.cost(chip, distances))


def _improved(
    links: Links,
    chip: IntArray,
    distances: IntArray,
    cores_per_chip: int,
    rng: np.random.Generator,
) -> IntArray:
    """Swap chips, then cores, and again as long as that saves anything."""
    cost, tries = links.cost(chip, distances), _MOST_TRIES
    if len(distances) > _MOST_CHIPS or len(distances) * len(chip) > _MOST_PAIRS:
        return chip
    while tries > 0:
        better = _swap_chips(links, chip, distances)
        refinement = _Refinement(links, better, distances, cores_per_chip)
        improved = True
        while improved and tries > 0:
            improved = refinement.improve(rng.permutation(len(chip))[:tries])
            tries -= len(chip)
        found = links.cost(refinement.chip, distances)
        if found >= cost:
            break
        chip, cost = refinement.chip, found
    return chip


def _greedy_order(links: Links, cores_per_chip: int) -> IntArray:
    """Fill chip after chip with the core that has most messages to those already on it."""
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
    """Exchange the contents of whole chips while that saves anything."""
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
            apart = distances[place_of][:, place_of]
            saved = ((between[first] - between) * (apart[first] - apart)).sum(axis=1)
            # What the two send to each other travels as far as before.
            saved -= 2 * between[first] * apart[first]
            second = int(np.argmax(saved))
            if saved[second] > 0:
                place_of[[first, second]] = place_of[[second, first]]
                improved = True
    return place_of[chip]


class _Refinement:
    """Exchanges of single cores between chips, and moves to free places.

    Parameters
    ----------
    links : Links
        Messages between cores.
    chip : ndarray of int
        Chip of each core; changed in place.
    distances : ndarray of int
        Between chips.
    cores_per_chip : int
        Cores of a chip.
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
        # Cost of each core's messages if it were on each chip: (cores, chips).
        self._cost = np.asarray((links.matrix @ on_chip) @ distances)

    def improve(self, order: IntArray) -> bool:
        """Try every core once; tell whether anything was saved."""
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
        """Return the chips that would be better for a core, the best ones first."""
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
        # What the two send to each other travels as far as before.
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
