"""Lay out slices on cores, before the cores are placed on chips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sdt_lava.hardware.core_map.activity import Activity
from sdt_lava.hardware.core_map.demand import Demand
from sdt_lava.hardware.core_map.messages import count_messages, count_synops
from sdt_lava.hardware.core_map.packing import Packing, pack
from sdt_lava.hardware.core_map.search import TilingSearch
from sdt_lava.hardware.core_map.tiling import Tiling
from sdt_lava.hardware.core_map.wiring import Wiring
from sdt_lava.ir.numerics import IntArray


@dataclass(frozen=True, eq=False)
class Layout:
    """Tilings of populations, and the core of each slice.

    Parameters
    ----------
    demand : Demand
        Demand of slices.
    tilings : mapping of str to Tiling
        Tiling of each population on cores.
    packing : Packing
        Assignment of slices to cores.
    """

    demand: Demand
    tilings: Mapping[str, Tiling]
    packing: Packing

    @property
    def wiring(self) -> Wiring:
        """Populations and projections of the network."""
        return self.demand.wiring

    def cores_of(self, name: str) -> IntArray:
        """Return the core of each slice of a population."""
        return self.packing.cores_of(name, self.tilings[name].slices)

    def core_of_neurons(self, name: str) -> IntArray:
        """Return the core of each neuron of a population, ``(*shape)``."""
        shape = self.wiring.populations[name].shape
        return self.cores_of(name)[self.tilings[name].labels].reshape(shape)

    def links(self, activity: Activity) -> tuple[IntArray, IntArray, IntArray]:
        """Return the sending core, receiving core and messages of each pair of slices."""
        link_parts = [np.empty((3, 0), np.int64)]
        for projection in self.wiring.projections:
            source, reader = projection.source.name, projection.reader.name
            if projection.source.on_host:
                continue
            messages = count_messages(
                projection, self.tilings[source], self.tilings[reader], activity.events.get(source)
            )
            senders = self.cores_of(source)[messages.source]
            receivers = self.cores_of(reader)[messages.reader]
            link_parts.append(np.stack([senders, receivers, messages.count]))
        senders, receivers, count = np.concatenate(link_parts, axis=1)
        return senders, receivers, count

    def messages_from_host(self, activity: Activity) -> IntArray:
        """Count the messages from the host to each core, ``(cores,)``."""
        total = np.zeros(self.packing.cores, np.int64)
        for projection in self.wiring.projections:
            if projection.source.on_host:
                tiling = self.tilings[projection.reader.name]
                events = activity.events.get(projection.source.name)
                messages = count_messages(projection, None, tiling, events)
                np.add.at(
                    total, self.cores_of(projection.reader.name)[messages.reader], messages.count
                )
        return total

    def synops(self, activity: Activity) -> IntArray:
        """Count the synaptic operations on each core, ``(cores,)``."""
        total = np.zeros(self.packing.cores, np.int64)
        for projection in self.wiring.projections:
            tiling = self.tilings[projection.reader.name]
            events = activity.events.get(projection.source.name)
            by_slice = count_synops(projection, tiling, events)
            np.add.at(total, self.cores_of(projection.reader.name), by_slice)
        return total


def lay_out(demand: Demand) -> Layout:
    """Cut all populations into slices and pack these, using the tilings that need fewer cores.

    Slices of equal size balance the work; large slices with small remainders pack better.

    Raises
    ------
    CompileError
        If a single neuron does not fit on a core.
    """
    search = TilingSearch(demand)
    balanced = search.run()
    populations = demand.wiring.on_cores
    layouts = [
        Layout(demand, tilings, pack(demand, populations, tilings))
        for tilings in (balanced, search.filled(balanced))
    ]
    return min(layouts, key=lambda layout: layout.packing.cores)
