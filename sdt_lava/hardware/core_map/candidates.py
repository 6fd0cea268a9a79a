"""Search the tilings of one population whose slices each fit on a core."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sdt_lava.hardware.core_map.demand import EXPLICIT, Demand
from sdt_lava.hardware.core_map.tiling import Split, Tiling, box_splits, split_counts
from sdt_lava.hardware.core_map.wiring import Population
from sdt_lava.ir.numerics import IntArray
from sdt_lava.ir.relations import Grid
from sdt_lava.support.once import cached_property

# Lower is better; the first entry is at least the number of slices.
Score = tuple[float, ...]
# Up to this many positions, both ranges and boxes are tried regardless of the connections.
_TRY_ALL = 256


class PopulationTilings:
    """The search space of one population.

    Parameters
    ----------
    demand : Demand
        Demand of slices.
    population : Population
        Population to cut.
    readers : mapping of str to Tiling, optional
        Tilings of the populations that read it. Without them, output axons are ignored.
    storage : {'shared', 'explicit'}, optional
        Storage of convolutions; by default the one that leaves more room.
    """

    def __init__(
        self,
        demand: Demand,
        population: Population,
        readers: Mapping[str, Tiling] | None = None,
        storage: str | None = None,
    ) -> None:
        self._demand = demand
        self._population = population
        self._readers = readers
        self._storage = storage
        self.capacity = demand.limits.capacity
        self._incoming = demand.wiring.incoming[population.name]

    def usage(self, tiling: Tiling) -> dict[str, IntArray]:
        """Return what each slice needs of each resource."""
        return self._demand.usage(self._population, tiling, self._readers, self._storage)

    def fits(self, tiling: Tiling) -> bool:
        """Return whether every slice fits on a core."""
        population, capacity = self._population, self.capacity
        needs = self._demand.received(population, tiling, self._storage)
        if any(int(need.max()) > capacity[name] for name, need in needs.items()):
            return False
        needs = self._demand.sent(population, tiling, self._readers)
        return all(int(need.max()) <= capacity[name] for name, need in needs.items())

    @property
    def finest(self) -> Tiling:
        """Tiling with one neuron per slice."""
        population = self._population
        return Tiling(
            Split(population.channels, population.channels),
            (Split(population.positions, population.positions),),
        )

    def best(self, score: Callable[[Tiling], Score]) -> Tiling | None:
        """Return the tiling with the lowest score, or None if a single neuron does not fit.

        For each number of channel ranges, only the coarsest cuts of the image that fit are scored.
        """
        best: Tiling | None = None
        lowest: Score = (np.inf,)
        for parts in split_counts(self._population.channels):
            if parts > lowest[0]:
                break
            channels = Split(self._population.channels, parts)
            for positions in self._coarsest(channels, lowest[0] / parts):
                tiling = Tiling(channels, positions)
                new_score = score(tiling)
                if new_score < lowest:
                    best, lowest = tiling, new_score
        return best

    def filled(self, tiling: Tiling) -> Tiling:
        """Return a tiling with as many slices, all as large as possible except the last ones."""
        channels = self._widest(tiling.channels, lambda split: Tiling(split, tiling.positions))
        positions = list(tiling.positions)
        for index, split in enumerate(positions):

            def with_split(wider: Split, index: int = index) -> Tiling:
                return Tiling(channels, (*positions[:index], wider, *positions[index + 1 :]))

            positions[index] = self._widest(split, with_split)
        return Tiling(channels, tuple(positions))

    def _widest(self, split: Split, tiling: Callable[[Split], Tiling]) -> Split:
        if split.parts == 1:
            return split
        smallest = -(-split.length // split.parts)
        largest = -(-split.length // (split.parts - 1)) - 1

        def too_wide(size: int) -> bool:
            return not self.fits(tiling(Split(split.length, split.parts, size)))

        sizes = range(smallest, largest + 1)
        first = bisect_left(sizes, True, key=too_wide)
        return Split(split.length, split.parts, sizes[first - 1]) if first else split

    def _coarsest(self, channels: Split, most: float) -> Iterator[tuple[Split, ...]]:
        least = self._least_parts(channels)
        if least is None or least > most:
            return
        if self._use_ranges:
            positions = self._coarsest_range(channels, least, most)
            if positions is not None:
                yield (positions,)
        if self._use_boxes:
            boxes = self._coarsest_boxes(channels, least, most)
            if boxes is not None:
                yield boxes

    @cached_property
    def _has_windows(self) -> bool:
        return any(isinstance(projection.position, Grid) for projection in self._incoming)

    @property
    def _use_ranges(self) -> bool:
        return not self._has_windows or self._population.positions <= _TRY_ALL

    @property
    def _use_boxes(self) -> bool:
        small = self._population.positions <= _TRY_ALL
        return self._population.grid[1] > 1 and (self._has_windows or small)

    def _least_parts(self, channels: Split) -> int | None:
        """Return a lower bound on the parts of the image, from the total demand of all slices."""
        most = self.capacity["neurons"] // channels.largest
        if most < 1:
            return None
        least = -(-self._population.positions // most)
        for name, total in self._totals.items():
            least = max(least, -(-total // max(1, self.capacity[name] * channels.parts)))
        return least

    @cached_property
    def _totals(self) -> dict[str, int]:
        """Least demand of the whole population under any tiling."""
        memory = axons = messages = 0
        for projection in self._incoming:
            if self._storage == EXPLICIT or not self._demand.can_share(projection):
                memory += projection.synapses * self._demand.limits.synapse_bits // 8
        if self._readers is not None:
            for projection in self._demand.wiring.outgoing[self._population.name]:
                reader = projection.reader.name
                if reader == self._population.name:
                    continue
                sent = self._demand.least_sent(projection, self._readers[reader])
                axons, messages = axons + sent[0], messages + sent[1]
        return {"synapse_memory": memory, "axons_out": axons, "messages": messages}

    def _coarsest_range(self, channels: Split, least: int, most: float) -> Split | None:
        length = self._population.positions
        counts = split_counts(length)
        first = bisect_left(counts, min(least, length))
        candidates = [count for count in counts[first:] if count <= most]

        def fits(count: int) -> bool:
            return self.fits(Tiling(channels, (Split(length, count),)))

        if not candidates or not fits(candidates[-1]):
            return None
        return Split(
            length, candidates[bisect_left(candidates, True, hi=len(candidates) - 1, key=fits)]
        )

    def _coarsest_boxes(self, channels: Split, least: int, most: float) -> tuple[Split, ...] | None:
        boxes = _all_boxes(*self._population.grid)
        for index in np.flatnonzero(self._plausible(channels, least, most)):
            if self.fits(Tiling(channels, boxes[index])):
                return boxes[index]
        return None

    def _plausible(self, channels: Split, least: int, most: float) -> NDArray[np.bool_]:
        """Return a mask of the boxes that no bound on a single projection rules out."""
        parts, positions = self._box_sizes
        plausible = (parts >= least) & (parts <= most)
        plausible &= positions * channels.largest <= self.capacity["neurons"]
        for projection, (reads, synapses) in zip(self._incoming, self._box_bounds, strict=True):
            if projection.flat:
                continue
            channel = self._demand.counter.count(projection.channel, (channels,))
            axons = reads * channel.reads.max()
            memory = synapses * channel.synapses.max() * self._demand.limits.synapse_bits // 8
            if self._demand.can_share(projection):
                weights = np.array(channels.largest * projection.kernel)
                axons = reads
                memory = np.minimum(memory, self._demand.limits.shared_bytes(weights))
            plausible &= axons <= self.capacity["axons_in"]
            plausible &= memory <= self.capacity["synapse_memory"]
        return plausible

    @cached_property
    def _box_sizes(self) -> tuple[IntArray, IntArray]:
        """Numbers of parts, and positions of the largest part, for all boxes."""
        boxes = _all_boxes(*self._population.grid)
        sizes = [(r.parts * c.parts, r.largest * c.largest) for r, c in boxes]
        parts, positions = np.array(sizes, np.int64).T
        return parts, positions

    @cached_property
    def _box_bounds(self) -> list[tuple[IntArray, IntArray]]:
        """Largest positions read and largest synapses of a part, by projection, for all boxes."""
        boxes = _all_boxes(*self._population.grid)
        bounds = []
        for projection in self._incoming:
            maxima = [self._demand.counter.box_maxima(projection.position, box) for box in boxes]
            reads, synapses = np.array(maxima, np.int64).T
            bounds.append((reads, synapses))
        return bounds


@lru_cache(maxsize=64)
def _all_boxes(height: int, width: int) -> tuple[tuple[Split, Split], ...]:
    return tuple(box_splits(height, width))
