"""Synaptic operations, counted from the spikes that happened and the true fan-out.

One synaptic operation is one event that arrives over one synapse. The count is a function of the
integer graph, the input and the recorded spikes alone, so it is the same whichever back end ran.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.compiler.compile import lower
from sdt_lava.graph import Graph, Input, Node, Signal, Sparse
from sdt_lava.numerics import IntArray
from sdt_lava.report.fan_out import fan_out

# What a synaptic operation is for; every connection of a compiled graph has one of these roles.
ROLES = ("synapse", "mask", "token_sum", "pool", "shortcut")
# Samples that are replayed at once.
_CHUNK = 16


@dataclass(frozen=True)
class LayerSynops:
    """Counts of one population of neurons, summed over all samples and steps.

    Parameters
    ----------
    name, kind, block : str
        Population; kind is 'lif', 'gate' (masks, pooling) or 'relay' (shortcuts, readout).
    connections : tuple of str
        Connections that end here, such as the convolution before the neurons.
    neurons : int
        Neurons in the population.
    events : int
        Spikes that it sent; graded spikes count when their payload is not 0.
    firing_rate : float
        Events per neuron and step.
    synapse : int
        Weighted synaptic operations that it received.
    mac : int
        Those of them that multiply a weight by a graded payload (the first layer's).
    mask, token_sum, pool, shortcut : int
        Additions that it received for masks, sums over tokens, pooling and membrane shortcuts.
    synops : int
        Everything that it received.
    """

    name: str
    kind: str
    block: str
    connections: tuple[str, ...]
    neurons: int
    events: int
    firing_rate: float
    synapse: int
    mac: int
    mask: int
    token_sum: int
    pool: int
    shortcut: int
    synops: int


@dataclass(frozen=True)
class SynopsTable:
    """Counts of a whole run.

    Parameters
    ----------
    layers : tuple of LayerSynops
        A row a population, inputs first.
    samples, timesteps : int
        Size of the run that was counted.
    input_events : int
        Non-zero input values.
    """

    layers: tuple[LayerSynops, ...]
    samples: int
    timesteps: int
    input_events: int

    @property
    def total(self) -> int:
        """Synaptic operations of all samples."""
        return sum(layer.synops for layer in self.layers)

    @property
    def per_inference(self) -> float:
        """Synaptic operations of one sample, on average."""
        return self.total / self.samples

    @property
    def by_role(self) -> dict[str, int]:
        """Synaptic operations of all samples by what they are for."""
        return {role: sum(getattr(layer, role) for layer in self.layers) for role in ROLES}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "total": self.total,
            "per_inference": self.per_inference,
            "samples": self.samples,
            "timesteps": self.timesteps,
            "input_events": self.input_events,
            "by_role": self.by_role,
            "layers": [asdict(layer) for layer in self.layers],
        }

    def __str__(self) -> str:
        """Return a table with a row a population, totals over all samples."""
        header = (
            f"{'layer':34s} {'kind':5s} {'neurons':>8s} {'spikes':>9s} {'rate':>7s} "
            + " ".join(f"{role:>10s}" for role in ROLES)
            + f" {'synops':>11s}"
        )
        rows = [
            f"{row.name:34s} {row.kind:5s} {row.neurons:8d} {row.events:9d} {row.firing_rate:7.4f} "
            + " ".join(f"{getattr(row, role):10d}" for role in ROLES)
            + f" {row.synops:11d}"
            for row in self.layers
        ]
        end = f"total {self.total} synops in {self.samples} samples, {self.per_inference:.1f} each"
        return "\n".join([header, *rows, end])


def count_synops(
    net: Graph, frames: IntArray, spikes: Mapping[str, NDArray[np.uint8]]
) -> SynopsTable:
    """Count synaptic operations.

    Parameters
    ----------
    net : Graph
        Integer graph.
    frames : ndarray of int
        Input ``(T, B, *shape)``.
    spikes : mapping of str to ndarray
        What every LIF sent, ``(T, B, *shape)``.

    Returns
    -------
    SynopsTable
        A row for each population of the compiled graph.
    """
    graph = lower(net)
    events = _count_events(graph, frames, spikes)
    steps, samples = frames.shape[:2]
    layers = [
        _layer(graph, node, events, samples * steps)
        for node in graph
        if graph.signals[node.name] is not Signal.CURRENT and not isinstance(node, Input)
    ]
    return SynopsTable(
        layers=tuple(layers),
        samples=samples,
        timesteps=steps,
        input_events=int(events[graph.input.name].sum()),
    )


def _count_events(
    graph: Graph, frames: IntArray, spikes: Mapping[str, NDArray[np.uint8]]
) -> dict[str, IntArray]:
    """Count the events of every source neuron over all samples and steps: ``(*shape)`` each."""
    # Imported here, so that tables of counts can be read without torch.
    from sdt_lava.simulate.engine import Engine

    engine = Engine(graph, strict=False)
    populations = [name for name in graph.order if graph.signals[name] is not Signal.CURRENT]
    totals = {name: np.zeros(graph.shapes[name], np.int64) for name in populations}
    for start in range(0, frames.shape[1], _CHUNK):
        part = slice(start, start + _CHUNK)
        recorded = {name: np.asarray(values)[:, part] for name, values in spikes.items()}
        values = engine.run(frames[:, part], keep=populations, spikes=recorded)
        for name in populations:
            totals[name] += np.count_nonzero(values[name], axis=(0, 1))
    return totals


def _layer(graph: Graph, node: Node, events: dict[str, IntArray], steps: int) -> LayerSynops:
    received = dict.fromkeys(ROLES, 0)
    mac = 0
    for name in node.inputs:
        connection = graph.nodes[name]
        source = connection.inputs[0]
        count = int((events[source] * fan_out(connection, graph.shapes[source])).sum())
        role = connection.role if isinstance(connection, Sparse) else "synapse"
        received[role] += count
        if role == "synapse" and graph.signals[source] is Signal.GRADED:
            mac += count
    sent = int(events[node.name].sum())
    neurons = int(np.prod(graph.shapes[node.name]))
    return LayerSynops(
        name=node.name,
        kind=node.kind,
        block=node.block,
        connections=node.inputs,
        neurons=neurons,
        events=sent,
        firing_rate=sent / (neurons * steps),
        mac=mac,
        synops=sum(received.values()),
        **received,
    )


__all__ = ["ROLES", "LayerSynops", "SynopsTable", "count_synops"]
