"""Represent a network on the cores and chips of a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sdt_lava.hardware.core_map.activity import Activity, Run, as_activity
from sdt_lava.hardware.core_map.core_counts import CoreCounts, count_by_core
from sdt_lava.hardware.core_map.geometry import ChipMesh
from sdt_lava.hardware.core_map.layout import Layout
from sdt_lava.hardware.core_map.limits import UNLIMITED
from sdt_lava.hardware.core_map.traffic import Traffic, measure_traffic
from sdt_lava.hardware.targets import Board, Target
from sdt_lava.ir import Graph, Shape
from sdt_lava.ir.numerics import IntArray
from sdt_lava.support.once import cached_property


@dataclass(frozen=True)
class ConnectionMap:
    """A connection mapped to cores.

    Parameters
    ----------
    name, kind, source : str
        Name and kind ('conv', 'dense' or 'sparse') of the connection, and the population it reads.
    delay : int
        Additional delay in steps.
    storage : str
        'shared': each core stores the weights of its channels of a convolution once. 'explicit':
        each synapse is stored individually.
    synapses, weights : int
        Number of synapses, and number of weights of a convolution (0 for other kinds).
    shared_bytes, explicit_bytes : int or None
        Synaptic memory on all cores with each storage; None if weights cannot be shared.
    """

    name: str
    kind: str
    source: str
    delay: int
    storage: str
    synapses: int
    weights: int
    shared_bytes: int | None
    explicit_bytes: int

    @property
    def bytes(self) -> int:
        """Synaptic memory that the connection takes."""
        shared = self.shared_bytes if self.storage == "shared" else None
        return self.explicit_bytes if shared is None else shared


@dataclass(frozen=True)
class LayerMap:
    """A population mapped to cores.

    Parameters
    ----------
    name, kind, block : str
        As in the compiled graph.
    shape : tuple of int
        Shape of the population.
    neurons, slices : int
        Number of neurons, and number of slices into which the population is cut. Each slice lies on
        a different core, which it may share with slices of other populations.
    tile : mapping of str to int
        Size of the largest slice: 'channels' and 'positions', or 'channels', 'rows' and 'columns'.
    utilisation : mapping of str to float
        Largest share of a core's capacity that a slice takes, for each resource that the target
        limits.
    binding : str
        The resource with the highest utilisation, which prevents larger slices. 'none' if the whole
        population is one slice.
    connections : tuple of ConnectionMap
        Connections into the population.
    cores_shared, cores_explicit : int or None
        Number of cores for this population alone with shared and with explicit weights of its
        convolutions; None if it has no convolutions or the mapping is impossible.
    """

    name: str
    kind: str
    block: str
    shape: Shape
    neurons: int
    slices: int
    tile: Mapping[str, int]
    utilisation: Mapping[str, float]
    binding: str
    connections: tuple[ConnectionMap, ...]
    cores_shared: int | None
    cores_explicit: int | None

    @property
    def cores(self) -> int:
        """Number of cores that hold a slice of the population."""
        return self.slices

    @property
    def synapse_bytes(self) -> int:
        """Synaptic memory of all connections on all cores, in bytes."""
        return sum(connection.bytes for connection in self.connections)

    def to_dict(self) -> dict[str, Any]:
        """Return the layer as plain values, for JSON."""
        shared = [connection.shared_bytes for connection in self.connections]
        return {
            **asdict(self),
            "shape": list(self.shape),
            "tile": dict(self.tile),
            "utilisation": dict(self.utilisation),
            "cores": self.cores,
            "synapse_bytes": self.synapse_bytes,
            "synapse_bytes_shared": (
                sum(
                    c.explicit_bytes if c.shared_bytes is None else c.shared_bytes
                    for c in self.connections
                )
                if any(value is not None for value in shared)
                else None
            ),
            "synapse_bytes_unrolled": sum(c.explicit_bytes for c in self.connections),
            "connections": [
                {**asdict(connection), "bytes": connection.bytes} for connection in self.connections
            ],
        }


@dataclass(frozen=True)
class Slice:
    """The neurons of one population on one core.

    Parameters
    ----------
    population : str
        Name of the population.
    index : int
        Number of the slice within the population.
    neurons : int
        Number of neurons.
    """

    population: str
    index: int
    neurons: int


@dataclass(frozen=True)
class Core:
    """The contents and operations of one core.

    Parameters
    ----------
    index, chip : int
        Index of the core within the map, and index of its chip.
    slices : tuple of Slice
        Slices that the core holds.
    usage : mapping of str to int
        Amount used of each resource.
    synops : int
        Synaptic operations over all steps of the activity for which the map was made.
    """

    index: int
    chip: int
    slices: tuple[Slice, ...]
    usage: Mapping[str, int]
    synops: int


@dataclass(frozen=True, eq=False)
class CoreMap:
    """A network on the cores and chips of a target.

    Parameters
    ----------
    target : Target
        Target whose limits every core satisfies.
    board : Board
        Board that provides the chips.
    layers : tuple of LayerMap
        Populations in topological order.
    cores : tuple of Core
        Cores in the order of their chips.
    activity : Activity
        Measured or assumed events for which the cores were placed.
    """

    target: Target
    board: Board
    layers: tuple[LayerMap, ...]
    cores: tuple[Core, ...]
    activity: Activity = field(repr=False)
    _graph: Graph = field(repr=False)
    _layout: Layout = field(repr=False)
    _chip: IntArray = field(repr=False)

    @property
    def timesteps(self) -> int:
        """Number of steps per sample, T."""
        return self._graph.timesteps

    @property
    def chips(self) -> int:
        """Number of chips."""
        return 1 + max(core.chip for core in self.cores)

    @property
    def boards(self) -> int:
        """Number of boards that the map needs."""
        return -(-self.chips // self.board.chips)

    @property
    def fits(self) -> bool:
        """Whether the map fits on one board."""
        return self.boards == 1

    @property
    def boards_needed(self) -> dict[str, int]:
        """Number of boards needed for each kind of board of the target."""
        return {name: -(-self.chips // board.chips) for name, board in self.target.boards.items()}

    @property
    def neurons(self) -> int:
        """Number of neurons on all cores."""
        return sum(layer.neurons for layer in self.layers)

    @property
    def capacity(self) -> dict[str, int | None]:
        """Limit of a core for each resource; None if there is no limit."""
        capacity = self._layout.demand.limits.capacity
        return {name: None if value == UNLIMITED else value for name, value in capacity.items()}

    @property
    def utilisation(self) -> dict[str, float]:
        """Share of each limited resource in use, averaged over all cores."""
        return {
            name: sum(core.usage[name] for core in self.cores) / (limit * len(self.cores))
            for name, limit in self.capacity.items()
            if limit
        }

    @property
    def busiest(self) -> Core:
        """Core with the most synaptic operations."""
        return max(self.cores, key=lambda core: core.synops)

    def core_of_neurons(self, population: str) -> IntArray:
        """Return the index of each neuron's core, ``(*shape)``.

        Raises
        ------
        KeyError
            If no population of that name lies on cores.
        """
        return self._layout.core_of_neurons(population)

    @cached_property
    def _distances(self) -> IntArray:
        return ChipMesh(self.board, self.chips).distances

    def hops(self, first: int, second: int) -> int:
        """Return the number of hops of a message from one core to another.

        A message takes no hop within a core, one hop within a chip, and one more for each chip
        border.
        """
        if first == second:
            return 0
        return 1 + int(self._distances[self.cores[first].chip, self.cores[second].chip])

    def traffic(self, run: Run | Activity | None = None) -> Traffic:
        """Count the messages within cores, between cores and between chips.

        Parameters
        ----------
        run : Run or Activity, optional
            Run of the mapped network; by default the activity for which the map was made.

        Returns
        -------
        Traffic
            Exact integer counts over the whole run.

        Raises
        ------
        DataError
            If the run belongs to another network.
        """
        activity = self.activity if run is None else as_activity(self._graph, run)
        return measure_traffic(self._layout, self._chip, self._distances, activity)

    def synops(self, run: Run | Activity | None = None) -> IntArray:
        """Count the synaptic operations on each core over a whole run, ``(cores,)``."""
        activity = self.activity if run is None else as_activity(self._graph, run)
        return self._layout.synops(activity)

    def by_core(self, run: Run | Activity | None = None) -> CoreCounts:
        """Count the operations, updates and messages of each core exactly over a whole run."""
        activity = self.activity if run is None else as_activity(self._graph, run)
        return count_by_core(self._layout, activity)

    def to_dict(self, per_core: bool = False) -> dict[str, Any]:
        """Return the map as plain values, for JSON.

        Parameters
        ----------
        per_core : bool
            Whether to also list every core.
        """
        traffic = self.traffic()
        busiest = self.busiest
        summary: dict[str, Any] = {
            "target": self.target.name,
            "board": self.board.name,
            "cores": len(self.cores),
            "chips": self.chips,
            "fits": self.fits,
            "boards": self.boards,
            "boards_needed": self.boards_needed,
            "neurons": self.neurons,
            "capacity": self.capacity,
            "utilisation": self.utilisation,
            "activity": self.activity.source,
            "steps": self.activity.steps,
            "traffic": {
                **traffic.to_dict(),
                "per_step": {
                    name: traffic.per_step(name)
                    for name in ("within_core", "between_cores", "between_chips", "hops")
                },
            },
            "busiest_core": {
                "core": busiest.index,
                "chip": busiest.chip,
                "populations": [part.population for part in busiest.slices],
                "synops_per_step": busiest.synops / self.activity.steps,
                "neuron_updates_per_step": busiest.usage["neurons"],
            },
            "layers": [layer.to_dict() for layer in self.layers],
        }
        if per_core:
            counts = self.by_core()
            summary["per_core"] = [
                {
                    **asdict(core),
                    "messages_out": int(counts.messages_out[core.index]),
                    "messages_in": int(counts.messages_in[core.index]),
                }
                for core in self.cores
            ]
        return summary
