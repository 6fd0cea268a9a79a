"""Rows of a paper's accounting of energy: operations of the dense network, times T, times rates.

A layer of spikes performs ``T R FLOPs`` additions, where R is the firing rate of its *input*.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FormulaLayer:
    """One row of the paper's accounting.

    Parameters
    ----------
    name, block : str
        Layer, named as in the model.
    kind : {'conv', 'linear', 'sdsa'}
        Kind of layer, which selects the formula of its operations.
    operation : {'mac', 'ac'}
        Multiply-and-accumulate for real-valued input, accumulate for spikes.
    flops : int
        Operations of a dense pass for one step of one sample.
    parameters : int
        Trained parameters of the layer and of its BatchNorm (weight and bias) in the authors'
        code, whose convolutions proj, fc1 and fc2 have a bias that the BatchNorm absorbs.
    inputs : tuple of str
        Populations whose firing rates are added to obtain R; empty for real-valued input.
    pooled : bool
        Whether the spikes are pooled between the population and the layer, so that the rate of the
        layer's input is higher than the population's.
    formula : str
        Formula of `flops`, with numbers.
    pooled_inputs : tuple of str
        The pools in between, whose rate is that of the layer's input.
    """

    name: str
    block: str
    kind: str
    operation: str
    flops: int
    parameters: int
    inputs: tuple[str, ...]
    pooled: bool
    formula: str
    pooled_inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Formula:
    """A paper's accounting of the networks of a family.

    Parameters
    ----------
    layers : callable
        Returns the rows for a configuration, in order of execution.
    dense_operators : callable
        Returns the operations that the same network with softmax attention has beyond the layers'
        FLOPs.
    """

    layers: Callable[[Any], tuple[FormulaLayer, ...]]
    dense_operators: Callable[[Any], int]


@dataclass(frozen=True)
class AttentionCost:
    """Operations of one attention operator for one step of one sample.

    Parameters
    ----------
    qkv : int
        ``3 N D^2``: the three projections.
    operator : int
        ``2 N^2 D``: the products of queries, keys and values.
    scale : int
        ``N^2``.
    softmax : int
        ``2 N^2``.
    """

    qkv: int
    operator: int
    scale: int
    softmax: int

    @property
    def total(self) -> int:
        """Operations of all parts."""
        return self.qkv + self.operator + self.scale + self.softmax


def vanilla_attention(tokens: int, dim: int) -> AttentionCost:
    """Return the operations of softmax attention over ``tokens`` tokens of ``dim`` channels."""
    return AttentionCost(
        qkv=3 * tokens * dim**2,
        operator=2 * tokens**2 * dim,
        scale=tokens**2,
        softmax=2 * tokens**2,
    )


def total_parameters(layers: tuple[FormulaLayer, ...]) -> int:
    """Return the number of trained parameters of the whole network."""
    return sum(layer.parameters for layer in layers)


def layer_rates(
    layers: tuple[FormulaLayer, ...], rates: Mapping[str, float]
) -> dict[str, float | None]:
    """Return the rate R of each layer.

    Parameters
    ----------
    layers : tuple of FormulaLayer
        Rows of the accounting.
    rates : mapping of str to float
        Firing rates by layer (the rate of the layer's input, used unchanged) or by population (used
        for every layer that reads it; the rate of a pool takes precedence over that of the neurons
        before it).

    Returns
    -------
    dict of str to float or None
        R by layer: 1 for real-valued input, None if a rate is missing.
    """
    result: dict[str, float | None] = {}
    for layer in layers:
        if layer.name in rates:
            result[layer.name] = rates[layer.name]
        elif layer.operation == "mac":
            result[layer.name] = 1.0
        elif layer.pooled_inputs and all(name in rates for name in layer.pooled_inputs):
            result[layer.name] = sum(rates[name] for name in layer.pooled_inputs)
        elif all(name in rates for name in layer.inputs):
            result[layer.name] = sum(rates[name] for name in layer.inputs)
        else:
            result[layer.name] = None
    return result
