"""Compare two accountings: the formula ``T R FLOPs`` and the exact counts.

The formula assumes that every event reaches as many synapses as a tap of a convolution without
borders does on average. The exact count adds up the synapses that each event actually reached.
They differ for exactly two reasons: taps outside the image, and the positions of the events.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sdt_lava.counts.counts import ConnectionCounts, Counts


@dataclass(frozen=True)
class AccountingRow:
    """One layer of weights, per sample.

    Parameters
    ----------
    name : str
        Layer (convolution, dense layer, readout).
    operation : str
        'mac' for graded input, 'accumulate' for spikes.
    rate : float
        The measured R: events per input neuron and step.
    flops : int
        Operations of a dense step, by the formula.
    dense_operations : int
        Existing synapses: the formula without the taps outside the image.
    formula : float
        ``T R FLOPs``.
    exact : float
        Actual operations, mean over the samples.
    border : float
        ``T R (FLOPs - synapses)``: taps outside the image, which the formula includes.
    position : float
        ``T R synapses - exact``: events at positions with fewer (or more) synapses than average.
    """

    name: str
    operation: str
    rate: float
    flops: int
    dense_operations: int
    formula: float
    exact: float
    border: float
    position: float

    @property
    def reason(self) -> str:
        """The reason for the difference between formula and exact count, in words."""
        if not self.formula:
            return "nothing fired"
        border, position = self.border / self.formula, self.position / self.formula
        parts = []
        if border:
            parts.append(f"{border:+.1%} taps outside the image")
        if abs(position) > 1e-12:
            place = "nearer the border" if position > 0 else "nearer the middle"
            parts.append(f"{position:+.1%} events {place} than evenly spread")
        return ", ".join(parts) or "equal: every event reaches the same number of synapses"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self) | {"reason": self.reason}


@dataclass(frozen=True)
class Accounting:
    """Both accountings of a run.

    Parameters
    ----------
    rows : tuple of AccountingRow
        Layers of weights.
    not_in_formula : dict of str to float
        Actual operations per sample, by kind, for which the formula has no row (it has one for
        masks and token sums together).
    sdsa_formula : float
        ``T (R_k + R_v) N D`` of all blocks, the formula's row for masks and token sums.
    timesteps : int
        Steps T of a sample.
    """

    rows: tuple[AccountingRow, ...]
    not_in_formula: dict[str, float]
    sdsa_formula: float
    timesteps: int

    @property
    def formula(self) -> float:
        """Operations of a sample by the formula, including attention's masks and sums."""
        return sum(row.formula for row in self.rows) + self.sdsa_formula

    @property
    def exact(self) -> float:
        """Actual operations of a sample."""
        return sum(row.exact for row in self.rows) + sum(self.not_in_formula.values())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "formula": self.formula,
            "exact": self.exact,
            "sdsa_formula": self.sdsa_formula,
            "not_in_formula": self.not_in_formula,
            "layers": [row.to_dict() for row in self.rows],
        }


def compare_accountings(counts: Counts) -> Accounting:
    """Compare the formula with the exact counts of the same run.

    Parameters
    ----------
    counts : Counts
        Counts of a run, on which the formula's rates are measured.
    """
    weighted = [row for row in counts.connections if row.role == "synapse"]
    other_operations: dict[str, float] = {}
    for row in counts.connections:
        if row.role != "synapse":
            operations = int(row.operations.sum()) / counts.samples
            other_operations[row.role] = other_operations.get(row.role, 0.0) + operations
    return Accounting(
        rows=tuple(_row(row, counts.timesteps, counts.samples) for row in weighted),
        not_in_formula=other_operations,
        sdsa_formula=_sdsa_formula(counts),
        timesteps=counts.timesteps,
    )


def _row(connection: ConnectionCounts, timesteps: int, samples: int) -> AccountingRow:
    rate = connection.rate
    formula = timesteps * rate * connection.flops
    reachable = timesteps * rate * connection.synapses
    exact = int(connection.operations.sum()) / samples
    return AccountingRow(
        name=connection.origin,
        operation=connection.operation,
        rate=rate,
        flops=connection.flops,
        dense_operations=connection.synapses,
        formula=formula,
        exact=exact,
        border=formula - reachable,
        position=reachable - exact,
    )


def _sdsa_formula(counts: Counts) -> float:
    """Return ``T (R_k + R_v) N D`` of all blocks: events of k and v per sample, as read by SDSA.

    In dvs_mode, they are dilated after their neurons.
    """
    events = {layer.name: int(layer.events.sum()) for layer in counts.layers}
    neurons = [name for name in events if name.endswith((".attn.k_lif", ".attn.v_lif"))]
    dilated = {name: f"{name.removesuffix('lif')}dilate" for name in neurons}
    return sum(events.get(dilated[name], events[name]) for name in neurons) / counts.samples
