"""Compare the energy of spike-driven and softmax attention by tokens, channels and rates."""

from __future__ import annotations

from dataclasses import dataclass

from sdt_lava.families.formula import vanilla_attention
from sdt_lava.report.energy_model import EnergyModel
from sdt_lava.report.formula_energy import cost_of


@dataclass(frozen=True)
class AttentionRatio:
    """Energy of both operators for one sample in one block.

    Parameters
    ----------
    tokens, dim, timesteps : int
        N, D and T.
    vanilla_pj : float
        Softmax attention: ``E_MAC (2 N^2 D + N^2 + 2 N^2)`` [pJ], plus ``E_MAC 3 N D^2`` if
        projections are included.
    sdsa_pj : float
        SDSA: ``E_AC T R N D`` [pJ], plus ``E_AC T R_in 3 N D^2`` if projections are included.
    """

    tokens: int
    dim: int
    timesteps: int
    vanilla_pj: float
    sdsa_pj: float

    @property
    def ratio(self) -> float:
        """Energy of softmax attention divided by that of SDSA."""
        return self.vanilla_pj / self.sdsa_pj if self.sdsa_pj else float("inf")


def attention_ratio(
    model: EnergyModel,
    *,
    tokens: int,
    dim: int,
    timesteps: int,
    rate: float,
    input_rate: float | None = None,
) -> AttentionRatio:
    """Compare SDSA with softmax attention by the paper's formulas.

    Parameters
    ----------
    model : EnergyModel
        Costs of 'mac' and 'accumulate'.
    tokens, dim, timesteps : int
        N, D and T.
    rate : float
        R: sum of the firing rates of the two operands of the column sum.
    input_rate : float, optional
        Firing rate of the projections' input. If given, the projections of queries, keys and values
        are included for both operators.
    """
    mac, ac = cost_of(model, "mac"), cost_of(model, "ac")
    cost = vanilla_attention(tokens, dim)
    vanilla = mac * (cost.total - cost.qkv)
    sdsa = ac * timesteps * rate * tokens * dim
    if input_rate is not None:
        vanilla += mac * cost.qkv
        sdsa += ac * timesteps * input_rate * cost.qkv
    return AttentionRatio(tokens, dim, timesteps, vanilla, sdsa)


def rate_for_ratio(
    model: EnergyModel,
    ratio: float,
    *,
    tokens: int,
    dim: int,
    timesteps: int,
    with_projections: bool,
) -> float:
    """Return the firing rate of all operands at which SDSA takes 1/ratio of the energy.

    Without projections, the result is the sum R of two rates and may exceed 2.
    """
    unit = attention_ratio(
        model,
        tokens=tokens,
        dim=dim,
        timesteps=timesteps,
        rate=2.0 if with_projections else 1.0,
        input_rate=1.0 if with_projections else None,
    )
    return unit.ratio / ratio
