"""A network on the cores and chips of a target."""

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
    """A connection on cores.

    Parameters
    ----------
    name, kind, source : str
        Connection ('conv', 'dense' or 'sparse'), and the population that it reads.
    delay : int
        Extra steps.
    storage : str
        'shared': each core stores the weights of its channels of a convolution once.
        'explicit': each synapse is stored for itself.
    synapses, weights : int
        Synapses, and weights of a convolution (0 for others).
    shared_bytes, explicit_bytes : int or None
        Synaptic memory on all cores, either way; None where weights cannot be shared.
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
        """Synaptic memory that it takes."""
        shared = self.shared_bytes if self.storage == "shared" else None
        return self.explicit_bytes if shared is None else shared


@dataclass(frozen=True)
class LayerMap:
    """A population on cores.

    Parameters
    ----------
    name, kind, block : str
        As in the compiled graph.
    shape : tuple of int
        Shape.
    neurons, slices : int
        Neurons, and the parts that it is cut into: each lies on a core of its own, which it may
        share with slices of other populations.
    tile : mapping of str to int
        Size of the largest slice: 'channels' and 'positions', or 'channels', 'rows', 'columns'.
    utilisation : mapping of str to float
        By resource: share of a core that the slice takes that needs most. Only resources that
        the target limits.
    binding : str
        The resource with the highest one: a larger slice would not fit because of it. 'none' if
        the whole population is one slice.
    connections : tuple of ConnectionMap
        What ends here.
    cores_shared, cores_explicit : int or None
        Cores for this population alone, if its convolutions shared their weights or did not;
        None if it has none, or if that is impossible.
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
        """Cores that hold a part of it."""
        return self.slices

    @property
    def synapse_bytes(self) -> int:
        """Synaptic memory on all cores."""
        return sum(connection.bytes for connection in self.connections)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
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
    """Neurons of one population on one core.

    Parameters
    ----------
    population : str
        Name.
    index : int
        Number of the slice within the population.
    neurons : int
        How many.
    """

    population: str
    index: int
    neurons: int


@dataclass(frozen=True)
class Core:
    """What one core holds and does.

    Parameters
    ----------
    index, chip : int
        Number of the core within the map, and the chip that it is on.
    slices : tuple of Slice
        What it holds.
    usage : mapping of str to int
        By resource.
    synops : int
        Synaptic operations over the steps of the activity that the map was made for.
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
        Limits that every core keeps.
    board : Board
        Board whose chips are used.
    layers : tuple of LayerMap
        Populations, in an order in which signals reach them.
    cores : tuple of Core
        Cores, chip by chip.
    activity : Activity
        Events for which cores were placed: measured, or assumed.
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
        """T: steps of a sample."""
        return self._graph.timesteps

    @property
    def chips(self) -> int:
        """Number of chips."""
        return 1 + max(core.chip for core in self.cores)

    @property
    def boards(self) -> int:
        """Number of boards that it takes."""
        return -(-self.chips // self.board.chips)

    @property
    def fits(self) -> bool:
        """Whether one board is enough."""
        return self.boards == 1

    @property
    def boards_needed(self) -> dict[str, int]:
        """How many boards of each kind the target has would be needed."""
        return {name: -(-self.chips // board.chips) for name, board in self.target.boards.items()}

    @property
    def neurons(self) -> int:
        """Neurons on all cores."""
        return sum(layer.neurons for layer in self.layers)

    @property
    def capacity(self) -> dict[str, int | None]:
        """Limit of a core by resource; None where there is none."""
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
        """The core with most synaptic operations."""
        return max(self.cores, key=lambda core: core.synops)

    def core_of_neurons(self, population: str) -> IntArray:
        """Return the index of the core of each neuron, ``(*shape)``.

        Raises
        ------
        KeyError
            If there is no such population on cores.
        """
        return self._layout.core_of_neurons(population)

    @cached_property
    def _distances(self) -> IntArray:
        return ChipMesh(self.board, self.chips).distances

    def hops(self, first: int, second: int) -> int:
        """Return the hops of a message from one core to another.

        0 within a core, 1 within a chip, and one more for each chip border.
        """
        if first == second:
            return 0
        return 1 + int(self._distances[self.cores[first].chip, self.cores[second].chip])

    def traffic(self, run: Run | Activity | None = None) -> Traffic:
        """Count the messages within cores, between cores and between chips.

        Parameters
        ----------
        run : Run or Activity, optional
            Run of the mapped network; the activity that the map was made for by default.

        Returns
        -------
        Traffic
            Exact integers over the whole run.

        Raises
        ------
        DataError
            If the run is of another network.
        """
        activity = self.activity if run is None else as_activity(self._graph, run)
        return measure_traffic(self._layout, self._chip, self._distances, activity)

    def synops(self, run: Run | Activity | None = None) -> IntArray:
        """Count the synaptic operations on each core, ``(cores,)``, over a whole run."""
        activity = self.activity if run is None else as_activity(self._graph, run)
        return self._layout.synops(activity)

    def by_core(self, run: Run | Activity | None = None) -> CoreCounts:
        """Count operations, updates and messages of each core, exactly, over a whole run."""
        activity = self.activity if run is None else as_activity(self._graph, run)
        return count_by_core(self._layout, activity)

    def to_dict(self, per_core: bool = False) -> dict[str, Any]:
        """Return plain values, for JSON.

        Parameters
        ----------
        per_core : bool
            Also list every core.
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
