"""Read the sigma-delta neurons of a stock layer, which SLAYER calls SDNN."""

from __future__ import annotations

from typing import Any

import numpy as np

from sdt_lava.errors import NetworkFileError
from sdt_lava.io.netx.guard import SafeGroup
from sdt_lava.io.netx.schema import MESSAGE_MANTISSA_LIMIT
from sdt_lava.io.netx.stock_fields import StockLayer, read_number
from sdt_lava.ir import Delta, Sigma, SigmaDelta, Synapse
from sdt_lava.ir.sigma_delta import SPIKE_EXPONENT, STATE_EXPONENT

# SLAYER's number of fractional bits of a weight, threshold, bias and input.
WEIGHT_BITS = 6
# SLAYER quantizes real inputs like weights, to even multiples of 1/64 that fit into eight bits.
INPUT_STEP, INPUT_LOW, INPUT_HIGH = 2, -256, 254

# Members that are read, and members that only affect training or always have the same value.
_KNOWN = {
    *("type", "vThMant", "activation", "sigma_output", "weight_exp"),
    *("messageBits", "gradedSpike", "scaleRho", "tauRho"),
}
# Names of torch's functions. Stock netx always rectifies, regardless of the file.
_RECTIFIED = {"relu": True, "relu_": True, "identity": False}


def is_sigma_delta(layer: StockLayer) -> bool:
    """Return whether a layer has sigma-delta neurons."""
    if not layer.has("neuron"):
        return False
    group = layer.group.subgroup("neuron")
    return "type" in group.names() and group.text("type") == "SDNN"


def read_sigma_delta(
    layer: StockLayer, currents: str, *, recurrent: bool = False
) -> SigmaDelta | Sigma:
    """Read the neurons of a layer with synapses; those of an output only sum their input."""
    group = layer.group.subgroup("neuron")
    _refuse(layer, group, recurrent=recurrent)
    layer.notes.unused(group.where, group.names(), _KNOWN)
    if "sigma_output" in group.names():
        if layer.has("bias"):
            problem = "a bias in front of an output that only adds up"
            remedy = "train the output without a norm: slayer.block.sigma_delta.Output has none"
            raise NetworkFileError(layer.group.at("bias"), problem, "none", remedy)
        scale = 2.0 ** (WEIGHT_BITS + WEIGHT_BITS + SPIKE_EXPONENT)
        return Sigma(name=layer.name, inputs=(currents,), scale=scale)
    fields: dict[str, Any] = {}
    if layer.has("bias"):
        fields["bias"] = _bias(layer)
    return SigmaDelta(
        name=layer.name,
        inputs=(currents,),
        threshold=_threshold(group),
        spike_exponent=SPIKE_EXPONENT,
        state_exponent=STATE_EXPONENT,
        rectified=_is_rectified(group),
        lead=1 + sum(isinstance(node, Synapse) for node in layer.earlier),
        **fields,
    )


def read_delta(layer: StockLayer, image: str) -> Delta:
    """Read the delta encoders of an input layer."""
    group = layer.group.subgroup("neuron")
    layer.notes.unused(group.where, group.names(), _KNOWN)
    return Delta(
        name=layer.name,
        inputs=(image,),
        threshold=_threshold(group),
        spike_exponent=SPIKE_EXPONENT,
        state_exponent=STATE_EXPONENT,
    )


def encoded_range(weight: int, bias: int, is_given: bool) -> dict[str, Any]:
    """Return the range and step of an input that delta encoders read.

    Parameters
    ----------
    weight, bias : int
        Transform of real values to integers.
    is_given : bool
        Whether the file defines them; the integers are then finer than SLAYER's step.
    """
    bounds = [weight * end / (1 << WEIGHT_BITS) + bias for end in (INPUT_LOW, INPUT_HIGH)]
    low, high = int(np.floor(min(bounds))), int(np.ceil(max(bounds)))
    return {
        "low": max(low, -MESSAGE_MANTISSA_LIMIT),
        "high": min(high, MESSAGE_MANTISSA_LIMIT),
        "step": 1 if is_given else INPUT_STEP,
    }


def _threshold(group: SafeGroup) -> int:
    if "vThMant" not in group.names():
        remedy = "export the block with SLAYER again: its neurons write it"
        raise NetworkFileError(group.where, "no member 'vThMant'", "a threshold", remedy)
    threshold = read_number(group, "vThMant", own=False)
    if not 0 <= threshold <= MESSAGE_MANTISSA_LIMIT:
        problem = f"{threshold}: no change of a 24-bit state"
        allowed = f"0 to {MESSAGE_MANTISSA_LIMIT}, in units of 1/64"
        raise NetworkFileError(
            group.at("vThMant"), problem, allowed, "train with a threshold below 32"
        )
    return threshold


def _bias(layer: StockLayer) -> np.ndarray:
    bias = layer.integers("bias").reshape(-1)
    if np.abs(bias).max(initial=0) > MESSAGE_MANTISSA_LIMIT:
        problem = f"{np.abs(bias).max()}, which leaves a 24-bit state"
        allowed = f"within +-{MESSAGE_MANTISSA_LIMIT}, in units of 1/64"
        raise NetworkFileError(
            layer.group.at("bias"), problem, allowed, "train with biases below 32"
        )
    return bias


def _is_rectified(group: SafeGroup) -> bool:
    if "activation" not in group.names():
        return True
    name = group.text("activation")
    if name not in _RECTIFIED:
        raise NetworkFileError(
            group.at("activation"),
            f"activation {name!a}, which Lava's sigma-delta process does not have",
            " or ".join(_RECTIFIED),
            "train with activation=torch.relu; stock netx would run relu in its place",
        )
    return _RECTIFIED[name]


def _refuse(layer: StockLayer, group: SafeGroup, *, recurrent: bool) -> None:
    """Refuse features that lava-dl's own simulation ignores or implements differently."""
    if layer.has("delay") and layer.integers("delay").any():
        raise NetworkFileError(
            layer.group.at("delay"),
            "delays of sigma-delta neurons, which stock netx ignores behind convolutions",
            "none",
            "train the block with delay=False",
        )
    if recurrent:
        problem = "recurrent sigma-delta neurons, which SLAYER does not have"
        remedy = "train with slayer.block.sigma_delta.Dense"
        raise NetworkFileError(layer.group.where, problem, "a feed-forward layer", remedy)
    if "weight_exp" in group.names() and read_number(group, "weight_exp", own=False):
        raise NetworkFileError(
            group.at("weight_exp"),
            "a sum divided by SLAYER's WgtScaleBatchNorm, which stock netx does not divide",
            "0",
            "train with norm=slayer.neuron.norm.MeanOnlyBatchNorm",
        )
