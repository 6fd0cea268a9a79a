"""Count synaptic operations from actual spikes and the true fan-out.

One synaptic operation is one event that arrives over one synapse. The count depends only on the
integer graph, the input and the recorded spikes, so it is the same for every back end.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sdt_lava.counts.counts import Counts, LayerCounts

# Purposes of synaptic operations; every connection of a compiled graph has one of these roles.
ROLES = ("synapse", "mask", "token_sum", "pool", "shortcut")


@dataclass(frozen=True)
class LayerSynops:
    """Counts of one population of neurons, summed over all samples and steps.

    Parameters
    ----------
    name, kind, block : str
        Name, kind and block of the population. The kind is 'lif', 'gate' (masks, pooling) or
        'relay' (shortcuts, readout).
    connections : tuple of str
        Connections into the population, such as the convolution before the neurons.
    neurons : int
        Number of neurons in the population.
    events : int
        Number of spikes that the population sent. Graded spikes count if their payload is not 0.
    firing_rate : float
        Events per neuron and step.
    synapse : int
        Weighted synaptic operations that the population received.
    mac : int
        Those that multiply a weight by a graded payload (in the first layer).
    mask, token_sum, pool, shortcut : int
        Additions for masks, sums over tokens, pooling and membrane shortcuts.
    synops : int
        All synaptic operations that the population received.
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
        One row per population, excluding the input.
    samples, timesteps : int
        Numbers of samples and time steps of the run.
    input_events : int
        Number of non-zero input values.
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
        """Mean number of synaptic operations per sample."""
        return self.total / self.samples

    @property
    def by_role(self) -> dict[str, int]:
        """Synaptic operations of all samples by role."""
        return {role: sum(getattr(layer, role) for layer in self.layers) for role in ROLES}

    def to_dict(self) -> dict[str, Any]:
        """Return the table as plain values, for JSON."""
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
        """Return a text table with one row per population and totals over all samples."""
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


def synops_table(counts: Counts) -> SynopsTable:
    """Sum counts over samples and steps.

    Parameters
    ----------
    counts : Counts
        Exact counts of a run.

    Returns
    -------
    SynopsTable
        Table with one row for each population except the input.
    """
    first, *layers = counts.layers
    return SynopsTable(
        layers=tuple(_layer(layer) for layer in layers),
        samples=counts.samples,
        timesteps=counts.timesteps,
        input_events=int(first.events.sum()),
    )


def _layer(layer: LayerCounts) -> LayerSynops:
    received = dict.fromkeys(ROLES, 0)
    for connection in layer.connections:
        received[connection.role] += int(connection.operations.sum())
    return LayerSynops(
        name=layer.name,
        kind=layer.kind,
        block=layer.block,
        connections=tuple(connection.name for connection in layer.connections),
        neurons=layer.neurons,
        events=int(layer.events.sum()),
        firing_rate=layer.rate,
        mac=int(layer.operations("mac").sum()),
        synops=sum(received.values()),
        **received,
    )


__all__ = ["ROLES", "LayerSynops", "SynopsTable", "synops_table"]
