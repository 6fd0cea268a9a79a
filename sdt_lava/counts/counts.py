"""Represent exact counts of a run by layer, block, time step and sample.

All counts are integers that depend only on the integer graph, the input and the recorded spikes, so
they are the same for every back end. Each event that crosses a synapse is one operation, whose kind
depends on the role of the connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sdt_lava.errors import DataError
from sdt_lava.ir.numerics import IntArray

# Operation of an event at a connection of each role. A weighted synapse multiplies if the event is
# graded, and only adds if it is a spike.
ROLE_OPERATIONS: Mapping[str, str] = {
    "mask": "mask",
    "token_sum": "token_sum",
    "pool": "pool",
    "shortcut": "shortcut",
}
SYNAPTIC_OPERATIONS = ("mac", "accumulate", "mask", "token_sum", "pool", "shortcut")
UPDATES = ("neuron_update_active", "neuron_update_inactive")
# Messages between cores, which are known if a core map is given.
MESSAGES = ("spike_between_cores", "hop")


@dataclass(frozen=True, eq=False)
class ConnectionCounts:
    """Events and operations of one connection.

    Parameters
    ----------
    name, origin : str
        The connection, and the network's node from which it was made.
    source, reader : str
        The populations at its ends.
    role : str
        'synapse', 'mask', 'token_sum', 'pool' or 'shortcut'.
    operation : str
        The one of `SYNAPTIC_OPERATIONS` that an event at its synapses performs.
    synapses : int
        Number of existing synapses, which is the number of operations of a dense step.
    flops : int
        The same number by the formula ``k^2 h w c_in c_out`` or ``i o``, which also counts the taps
        of a convolution outside the image.
    source_neurons : int
        Number of neurons of the source.
    events : ndarray of int64
        Events of the source, ``(T, B)``.
    operations : ndarray of int64
        Events times the synapses that each event reached, ``(T, B)``.
    """

    name: str
    origin: str
    source: str
    reader: str
    role: str
    operation: str
    synapses: int
    flops: int
    source_neurons: int
    events: IntArray
    operations: IntArray

    @property
    def rate(self) -> float:
        """Firing rate of the source: events per neuron, step and sample."""
        return float(self.events.sum()) / (self.source_neurons * self.events.size)


@dataclass(frozen=True, eq=False)
class LayerCounts:
    """Counts of one population of neurons.

    Parameters
    ----------
    name, kind, block : str
        Name, kind and block of the population. The kind is 'input', 'lif', 'gate' (masks, pools) or
        'relay' (shortcuts, readout).
    neurons : int
        Number of neurons in the population.
    fan_out : float
        Mean number of synapses that a neuron drives.
    graded : bool
        Whether the events carry a payload.
    events : ndarray of int64
        Spikes, or messages with a payload other than 0, ``(T, B)``.
    connections : tuple of ConnectionCounts
        Connections into the population.
    """

    name: str
    kind: str
    block: str
    neurons: int
    fan_out: float
    graded: bool
    events: IntArray
    connections: tuple[ConnectionCounts, ...]

    @property
    def rate(self) -> float:
        """Events per neuron, step and sample."""
        return float(self.events.sum()) / (self.neurons * self.events.size)

    def operations(self, operation: str) -> IntArray:
        """Return the number of times that an operation happened here, ``(T, B)``."""
        if operation == "neuron_update_active":
            return self._active
        if operation == "neuron_update_inactive":
            return self._updates - self._active
        parts = [row.operations for row in self.connections if row.operation == operation]
        return sum(parts, np.zeros_like(self.events))

    @property
    def synops(self) -> IntArray:
        """All synaptic operations that the population received, ``(T, B)``."""
        return sum((row.operations for row in self.connections), np.zeros_like(self.events))

    @property
    def _updates(self) -> IntArray:
        updates = 0 if self.kind == "input" else self.neurons
        return np.full_like(self.events, updates)

    @property
    def _active(self) -> IntArray:
        return np.zeros_like(self.events) if self.kind == "input" else self.events


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts of a whole run.

    Parameters
    ----------
    layers : tuple of LayerCounts
        Counts of the input, followed by those of each population of the compiled graph.
    samples, timesteps : int
        Numbers of samples and time steps of the run.
    messages : mapping of str to int
        Counts of `MESSAGES` over the whole run if a core map was given; otherwise empty.
    """

    layers: tuple[LayerCounts, ...]
    samples: int
    timesteps: int
    messages: Mapping[str, int] = field(default_factory=dict)

    @property
    def connections(self) -> tuple[ConnectionCounts, ...]:
        """All connections in the order of their readers."""
        return tuple(row for layer in self.layers for row in layer.connections)

    def operations(self, operation: str) -> IntArray:
        """Return the number of times that an operation happened in all layers, ``(T, B)``."""
        parts = (layer.operations(operation) for layer in self.layers)
        return sum(parts, np.zeros((self.timesteps, self.samples), np.int64))

    def total(self, operation: str) -> int:
        """Return the number of times that an operation happened in the whole run."""
        return int(self.operations(operation).sum())

    @property
    def synops(self) -> int:
        """Synaptic operations of the whole run."""
        return sum(self.total(operation) for operation in SYNAPTIC_OPERATIONS)

    @property
    def graded_messages(self) -> int:
        """Number of events with a payload, including those of the input."""
        return sum(int(layer.events.sum()) for layer in self.layers if layer.graded)

    def statistics(self, operation: str) -> tuple[float, float]:
        """Return the mean and population standard deviation over samples of the sums over T."""
        by_sample = self.operations(operation).sum(axis=0)
        return float(by_sample.mean()), float(by_sample.std())

    def by_step(self, operation: str) -> list[int]:
        """Return the operations in each of the T steps, summed over samples."""
        return [int(value) for value in self.operations(operation).sum(axis=1)]

    def by_block(self) -> dict[str, dict[str, int]]:
        """Return the total of each operation in each block."""
        blocks: dict[str, dict[str, int]] = {}
        for layer in self.layers:
            row = blocks.setdefault(layer.block, dict.fromkeys((*SYNAPTIC_OPERATIONS, *UPDATES), 0))
            for operation in row:
                row[operation] += int(layer.operations(operation).sum())
        return blocks

    def rows(self) -> list[dict[str, Any]]:
        """Return one flat row of totals per layer, as for ``pandas.DataFrame(counts.rows())``.

        The values ``events``, ``firing_rate``, ``fan_out`` and ``synops_caused`` describe what a
        layer *sends*; ``synops_caused`` are the synaptic operations that its events cause in any
        layer. The values ``events_received``, ``synops``, ``dense_operations`` and the operations
        by kind describe what it *receives*. The sums of ``synops_caused`` and ``synops`` over all
        layers are equal.
        """
        caused = dict.fromkeys((layer.name for layer in self.layers), 0)
        for connection in self.connections:
            caused[connection.source] += int(connection.operations.sum())
        return [_layer_row(layer, caused[layer.name]) for layer in self.layers]

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain values, for JSON."""
        operations = (*SYNAPTIC_OPERATIONS, *UPDATES)
        return {
            "samples": self.samples,
            "timesteps": self.timesteps,
            "synops": self.synops,
            "graded_messages": self.graded_messages,
            "totals": {operation: self.total(operation) for operation in operations},
            "messages": dict(self.messages),
            "per_sample": {
                operation: dict(zip(("mean", "std"), self.statistics(operation), strict=True))
                for operation in operations
            },
            "by_step": {operation: self.by_step(operation) for operation in operations},
            "by_block": self.by_block(),
            "layers": self.rows(),
        }


def merge(parts: Iterable[Counts]) -> Counts:
    """Concatenate the counts of several runs of one network.

    Raises
    ------
    DataError
        If there are no counts, or they belong to different networks.
    """
    runs = list(parts)
    if not runs:
        raise DataError("counts", "no run", "at least one")
    names = [layer.name for layer in runs[0].layers]
    for run in runs:
        if [layer.name for layer in run.layers] != names or run.timesteps != runs[0].timesteps:
            raise DataError("counts", "runs of different networks", "one network and one T")
    layers = tuple(_join_layers(rows) for rows in zip(*(run.layers for run in runs), strict=True))
    return Counts(layers, sum(run.samples for run in runs), runs[0].timesteps)


def _join_layers(rows: tuple[LayerCounts, ...]) -> LayerCounts:
    connections = tuple(
        replace(
            parts[0],
            events=np.concatenate([part.events for part in parts], axis=1),
            operations=np.concatenate([part.operations for part in parts], axis=1),
        )
        for parts in zip(*(row.connections for row in rows), strict=True)
    )
    events = np.concatenate([row.events for row in rows], axis=1)
    return replace(rows[0], events=events, connections=connections)


def _layer_row(layer: LayerCounts, caused: int) -> dict[str, Any]:
    totals = {
        operation: int(layer.operations(operation).sum())
        for operation in (*SYNAPTIC_OPERATIONS, *UPDATES)
    }
    return {
        "name": layer.name,
        "kind": layer.kind,
        "block": layer.block,
        "neurons": layer.neurons,
        "fan_out": layer.fan_out,
        "graded": layer.graded,
        "events": int(layer.events.sum()),
        "firing_rate": layer.rate,
        "synops_caused": caused,
        "events_received": sum(int(row.events.sum()) for row in layer.connections),
        "synops": int(layer.synops.sum()),
        "dense_operations": sum(row.synapses for row in layer.connections),
        **totals,
    }
