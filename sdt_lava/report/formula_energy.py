"""Compute energy by the paper's formula: the sum of ``E = cost * T * R * FLOPs`` over layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sdt_lava.errors import EnergyModelError
from sdt_lava.families.configuration import FamilyConfig
from sdt_lava.families.formula import (
    FormulaLayer,
    layer_rates,
    total_parameters,
)
from sdt_lava.families.registry import formula_of
from sdt_lava.report.energy_model import EnergyModel

_COST_OF = {"mac": "mac", "ac": "accumulate"}
_PJ_PER_MJ = 1e9


@dataclass(frozen=True)
class FormulaRow:
    """One layer's operations and energy by the formula.

    Parameters
    ----------
    layer : FormulaLayer
        The layer, with its FLOPs.
    rate : float or None
        R, the firing rate of the layer's input; None if unknown.
    operations : float or None
        ``T * R * FLOPs``.
    energy_pj : float or None
        Operations times the cost of one operation [pJ].
    """

    layer: FormulaLayer
    rate: float | None
    operations: float | None
    energy_pj: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        row = asdict(self.layer) | {"inputs": list(self.layer.inputs)}
        return row | {
            "rate": self.rate,
            "operations": self.operations,
            "energy_pj": self.energy_pj,
        }


@dataclass(frozen=True)
class FormulaEnergy:
    """The paper's accounting of a whole network, for one sample.

    Parameters
    ----------
    config : FamilyConfig
        The network.
    model : EnergyModel
        Costs.
    rows : tuple of FormulaRow
        One row per layer.
    """

    config: FamilyConfig
    model: EnergyModel
    rows: tuple[FormulaRow, ...]

    @property
    def parameters(self) -> int:
        """Number of trained parameters of the network."""
        return total_parameters(tuple(row.layer for row in self.rows))

    @property
    def flops(self) -> int:
        """Operations of one dense step, without the masks and sums of attention."""
        return sum(row.layer.flops for row in self.rows if row.layer.kind != "sdsa")

    @property
    def missing_rates(self) -> tuple[str, ...]:
        """Layers whose energy is unknown because the rate of their input is."""
        return tuple(row.layer.name for row in self.rows if row.rate is None)

    @property
    def energy_mj(self) -> float | None:
        """Energy of the network [mJ]; None if a rate is missing."""
        energies = [row.energy_pj for row in self.rows if row.energy_pj is not None]
        return sum(energies) / _PJ_PER_MJ if len(energies) == len(self.rows) else None

    @property
    def mac_energy_mj(self) -> float:
        """Energy of the layers with real-valued input [mJ], which needs no rate."""
        rows = [row for row in self.rows if row.layer.operation == "mac"]
        return sum(row.energy_pj or 0.0 for row in rows) / _PJ_PER_MJ

    @property
    def dense_energy_mj(self) -> float:
        """Energy of the same layers as a dense network with softmax attention [mJ].

        The dense network has a single pass of multiply-and-accumulate operations only: the layers'
        FLOPs, and the products, scaling and softmax of attention in each block.
        """
        operators = formula_of(self.config).dense_operators(self.config)
        return (self.flops + operators) * cost_of(self.model, "mac") / _PJ_PER_MJ

    def implied_rate(self, energy_mj: float) -> float:
        """Return the rate that yields an energy [mJ] if all layers of spikes have this rate."""
        additions = sum(
            row.layer.flops * max(1, len(row.layer.inputs))
            for row in self.rows
            if row.layer.operation == "ac"
        )
        remaining_mj = energy_mj - self.mac_energy_mj
        cost = cost_of(self.model, "ac") * self.config.timesteps * additions
        return remaining_mj * _PJ_PER_MJ / cost

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "parameters": self.parameters,
            "flops": self.flops,
            "timesteps": self.config.timesteps,
            "image_size": list(self.config.image_size),
            "layers": [row.to_dict() for row in self.rows],
            "energy": {
                "model": self.model.name,
                "total_mj": self.energy_mj,
                "mac_mj": self.mac_energy_mj,
                "dense_network_mj": self.dense_energy_mj,
                "missing_rates": list(self.missing_rates),
                "constants": {key: asdict(cost) for key, cost in self.model.costs.items()},
                "source": self.model.source,
                "assumptions": list(self.model.assumptions),
            },
        }


def formula_energy(
    config: FamilyConfig, model: EnergyModel, rates: Mapping[str, float] | None = None
) -> FormulaEnergy:
    """Compute the paper's accounting.

    Parameters
    ----------
    config : FamilyConfig
        The network, including T.
    model : EnergyModel
        Costs, which must include 'mac' and 'accumulate'.
    rates : mapping of str to float, optional
        Firing rates by layer or by population, see
        :func:`sdt_lava.families.formula.layer_rates`.

    Raises
    ------
    EnergyModelError
        If the model lacks one of these costs.
    ConfigError
        If the family of the network has no such accounting.
    """
    layers = formula_of(config).layers(config)
    rate_of = layer_rates(layers, rates or {})
    costs = {operation: cost_of(model, operation) for operation in _COST_OF}
    rows = tuple(
        _row(layer, rate_of[layer.name], config.timesteps, costs[layer.operation])
        for layer in layers
    )
    return FormulaEnergy(config, model, rows)


def cost_of(model: EnergyModel, operation: str) -> float:
    """Return the cost [pJ] of the formula's 'mac' or 'ac'.

    Raises
    ------
    EnergyModelError
        If the model does not contain it.
    """
    key = _COST_OF[operation]
    if key not in model.costs:
        raise EnergyModelError(
            f"energy model {model.name!r}", f"no cost of {key!r}", "costs of 'mac' and 'accumulate'"
        )
    return model.costs[key].pj


def _row(layer: FormulaLayer, rate: float | None, timesteps: int, cost: float) -> FormulaRow:
    if rate is None:
        return FormulaRow(layer, None, None, None)
    operations = timesteps * rate * layer.flops
    return FormulaRow(layer, rate, operations, operations * cost)
