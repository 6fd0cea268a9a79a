"""Compute the resources of a core that the slices of a population need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sdt_lava.hardware.core_map.counts import Counter, PartCounts, count_parts
from sdt_lava.hardware.core_map.limits import CoreLimits
from sdt_lava.hardware.core_map.tiling import Tiling
from sdt_lava.hardware.core_map.wiring import Population, Projection, Wiring
from sdt_lava.ir.numerics import IntArray

SHARED, EXPLICIT = "shared", "explicit"
STORAGES = (SHARED, EXPLICIT)


@dataclass(frozen=True, eq=False)
class ProjectionDemand:
    """Resources that one projection needs in each slice of its reader.

    All arrays have the shape ``(channel parts, position parts)``.

    Parameters
    ----------
    storage : str
        'shared': the positions share the weights of a convolution. 'explicit': each synapse is
        stored individually.
    synapses : ndarray of int64
        Number of synapses.
    axons : mapping of str to ndarray of int64
        Input axons by storage: one for each source neuron with a synapse in the slice if explicit,
        one for each source position if shared.
    memory : mapping of str to ndarray of int64
        Synaptic memory in bytes by storage; no entry 'shared' if weights cannot be shared.
    """

    storage: str
    synapses: IntArray
    axons: Mapping[str, IntArray]
    memory: Mapping[str, IntArray]


class Demand:
    """Exact demand of slices for any tiling.

    Parameters
    ----------
    wiring : Wiring
        Populations and projections of the network.
    limits : CoreLimits
        Limits of a core and costs of synapses.
    """

    def __init__(self, wiring: Wiring, limits: CoreLimits) -> None:
        self.wiring = wiring
        self.limits = limits
        self.counter = Counter()
        self._flat: dict[object, PartCounts] = {}
        self._storage: dict[object, str] = {}

    def counts(self, projection: Projection, tiling: Tiling) -> tuple[PartCounts, PartCounts]:
        """Return the counts of channels and of positions for a tiling of the reader.

        For a flat projection, the second holds the counts of all slices, and the first is trivial.
        """
        if not projection.flat:
            channel = self.counter.count(projection.channel, (tiling.channels,))
            return channel, self.counter.count(projection.position, tiling.positions)
        key = projection.position.key, tiling
        if key not in self._flat:
            counts = projection.position.counts(tiling.labels, tiling.slices)
            self._flat[key] = count_parts(counts)
        return _TRIVIAL, self._flat[key]

    def can_share(self, projection: Projection) -> bool:
        """Return whether the positions of a projection can share its weights on this target."""
        limits = self.limits
        has_kernel = projection.kernel > 0 and limits.shared_bits is not None
        return has_kernel and projection.delay <= limits.shared_delay

    def storage(self, projection: Projection, tiling: Tiling) -> str:
        """Return how a projection is stored on the cores of its reader."""
        if not self.can_share(projection):
            return EXPLICIT
        key = projection.key, tiling
        if key not in self._storage:
            self._storage[key] = self.incoming(projection, tiling).storage
        return self._storage[key]

    def incoming(self, projection: Projection, tiling: Tiling) -> ProjectionDemand:
        """Return the demand of a projection in each slice of its reader."""
        channel, position = self.counts(projection, tiling)
        shape = (tiling.channels.parts, tiling.position_parts)

        def product(first: IntArray, second: IntArray) -> IntArray:
            return np.outer(first, second).reshape(shape)

        axons = {EXPLICIT: product(channel.reads, position.reads)}
        costs = self.limits.explicit_bytes(np.outer(channel.lengths, position.lengths))
        memory = {EXPLICIT: (channel.histogram @ costs @ position.histogram.T).reshape(shape)}
        if self.can_share(projection):
            axons[SHARED] = product(np.minimum(channel.reads, 1), position.reads)
            weights = self.limits.shared_bytes(tiling.channels.sizes * projection.kernel)
            memory[SHARED] = product(weights, np.ones(tiling.position_parts, np.int64))
        storage = self._roomier(axons, memory)
        synapses = product(channel.synapses, position.synapses)
        return ProjectionDemand(storage, synapses, axons, memory)

    def _roomier(self, axons: Mapping[str, IntArray], memory: Mapping[str, IntArray]) -> str:
        """Return the storage with the less full fullest core, or the smaller one on ties."""
        capacity = self.limits.capacity

        def fullness(storage: str) -> tuple[float, int]:
            bytes_ = int(memory[storage].max())
            by_memory = bytes_ / max(1, capacity["synapse_memory"])
            by_axons = int(axons[storage].max()) / max(1, capacity["axons_in"])
            return max(by_memory, by_axons), bytes_

        return min(memory, key=lambda storage: (*fullness(storage), storage != SHARED))

    def usage(
        self,
        population: Population,
        tiling: Tiling,
        readers: Mapping[str, Tiling] | None,
        storage: str | None = None,
    ) -> dict[str, IntArray]:
        """Return what each slice of a population needs of each resource.

        Parameters
        ----------
        population : Population
            Population to be cut.
        tiling : Tiling
            Tiling of the population.
        readers : mapping of str to Tiling, optional
            Tilings of the populations that read it. Without them, resources for sending are not
            counted.
        storage : {'shared', 'explicit'}, optional
            Storage of convolutions where possible; by default the one that leaves more room.
        """
        received = self.received(population, tiling, storage)
        return {**received, **self.sent(population, tiling, readers)}

    def received(
        self, population: Population, tiling: Tiling, storage: str | None = None
    ) -> dict[str, IntArray]:
        """Return the usage for receiving, which does not depend on the readers."""
        neurons = tiling.neurons
        memory = axons = np.zeros_like(neurons)
        for projection in self.wiring.incoming[population.name]:
            demand = self.incoming(projection, tiling)
            storage_used = demand.storage if storage not in demand.memory else str(storage)
            memory, axons = memory + demand.memory[storage_used], axons + demand.axons[storage_used]
        return {
            "neurons": neurons,
            "neuron_groups": np.ones_like(neurons),
            "synapse_memory": memory,
            "axons_in": axons,
        }

    def sent(
        self, population: Population, tiling: Tiling, readers: Mapping[str, Tiling] | None
    ) -> dict[str, IntArray]:
        """Return the usage for sending."""
        # The network's output is also sent to the host.
        to_host = readers is not None and population.name == self.wiring.output
        axons = messages = tiling.neurons if to_host else np.zeros_like(tiling.neurons)
        for projection in self.wiring.outgoing[population.name]:
            if readers is not None:
                reader = projection.reader.name
                # A recurrent population has the same tiling on both sides.
                cut = tiling if reader == population.name else readers[reader]
                sent = self.outgoing(projection, tiling, cut)
                axons, messages = axons + sent[0], messages + sent[1]
        return {"axons_out": axons, "messages": messages}

    def outgoing(
        self, projection: Projection, source: Tiling, reader: Tiling
    ) -> tuple[IntArray, IntArray]:
        """Return each source slice's output axons, and its messages if all neurons fire."""
        channel, position = self.counts(projection, reader)
        if projection.flat:
            shape = (source.channels.parts, source.position_parts)
            entries = self.limits.axon_entries(position.readers)
            axons = _sum_by(source.labels, entries, source.slices).reshape(shape)
            messages = _sum_by(source.labels, position.readers, source.slices)
            return axons, messages.reshape(shape)
        labels, parts = source.channels.labels, source.channels.parts
        by_position = _Reached(source.position_labels, source.position_parts, position.readers)
        by_channel = _Reached(labels, parts, channel.readers)
        messages = np.outer(by_channel.total, by_position.total)
        if self.storage(projection, reader) == SHARED:
            # A position uses one axon for all channels of the slice.
            parts_reached = self._parts_reached(projection, source, reader)
            by_channel = _Reached(np.arange(parts), parts, parts_reached)
        costs = self.limits.axon_entries(np.outer(by_channel.values, by_position.values))
        return by_channel.histogram @ costs @ by_position.histogram.T, messages

    def _parts_reached(self, projection: Projection, source: Tiling, reader: Tiling) -> IntArray:
        """Count the channel ranges of the reader that read from each range of the source."""
        split = reader.channels
        if projection.reads_all_channels:
            return np.full(source.channels.parts, split.parts)
        reads = projection.channel.counts(split.labels, split.parts).tocoo()
        pairs = reads.row * source.channels.parts + source.channels.labels[reads.col]
        reached = np.unique(pairs) % source.channels.parts
        return np.bincount(reached, minlength=source.channels.parts)

    def least_sent(self, projection: Projection, reader: Tiling) -> tuple[int, int]:
        """Return the output axons and messages of the whole source if only positions are cut."""
        channel, position = self.counts(projection, reader)
        messages = int(channel.readers.sum()) * int(position.readers.sum())
        by_channel = _Reached.of_all(channel.readers)
        if self.storage(projection, reader) == SHARED:
            by_channel = _Reached.of_all(np.array([reader.channels.parts]))
        by_position = _Reached.of_all(position.readers)
        costs = self.limits.axon_entries(np.outer(by_channel.values, by_position.values))
        axons = by_channel.histogram @ costs @ by_position.histogram.T
        return int(axons.sum()), messages

    def most_sent(self, projection: Projection, reader: Tiling) -> tuple[int, int]:
        """Return the output axons and messages of the neuron that needs the most."""
        channel, position = self.counts(projection, reader)
        messages = channel.most_readers * position.most_readers
        return int(self.limits.axon_entries(np.array(messages))), messages


class _Reached:
    """Histogram of how many parts of a reader the indices of each part of a source reach.

    Parameters
    ----------
    labels : ndarray of int
        Part to which each index belongs.
    parts : int
        Number of parts.
    readers : ndarray of int
        Number of parts of the reader that each index reaches.
    """

    def __init__(self, labels: IntArray, parts: int, readers: IntArray) -> None:
        self.values, index = np.unique(readers, return_inverse=True)
        size = len(self.values)
        histogram = np.bincount(labels * size + index, minlength=parts * size)
        self.histogram = histogram.reshape(parts, size)
        self.total = self.histogram @ self.values

    @classmethod
    def of_all(cls, readers: IntArray) -> _Reached:
        """Return the histogram with all indices in one part."""
        return cls(np.zeros(len(readers), np.int64), 1, readers)


def _sum_by(labels: IntArray, values: IntArray, parts: int) -> IntArray:
    # Sums of counts are far below 2^53, so float64 in bincount is exact.
    return np.bincount(labels, values, parts).astype(np.int64)


def _one() -> PartCounts:
    one = np.ones(1, np.int64)
    return PartCounts(one, one, one, np.ones((1, 1), np.int64), (one,))


_TRIVIAL = _one()
