"""Read the neurons of a stock layer: CUBA, which older files call LOIHI."""

from __future__ import annotations

import logging
from math import prod
from typing import Any

import numpy as np

from sdt_lava.errors import NetworkFileError
from sdt_lava.io.netx.guard import SafeGroup
from sdt_lava.io.netx.schema import STOCK_NEURONS, STOCK_NEURONS_REFUSED
from sdt_lava.io.netx.stock_fields import (
    StockLayer,
    expect_members,
    read_number,
    read_per_channel,
    said,
    shortly,
    texts_of,
)
from sdt_lava.ir import CubaLif, Lif, SpikingNeurons
from sdt_lava.ir.numerics import ACTIVATION_SHIFT, DECAY_UNITY, THRESHOLD_LIMIT

logger = logging.getLogger(__name__)

_REQUIRED = {"type", "iDecay", "vDecay"}
_OPTIONAL = {"vThMant", "refDelay", "gradedSpike", "messageBits", "weight_exp", "wgtExp", "theta"}
# Parameters of surrogate gradients, which only affect training.
_TRAINING = {"scaleRho", "tauRho"}
# SLAYER divides by 2^weight_exp after clipping it to the three bits of WgtScaleBatchNorm's default,
# but writes the unclipped exponent.
WEIGHT_EXP_LIMIT = 3


def read_neurons(
    layer: StockLayer, currents: str, channels: int, *, recurrent: bool = False
) -> SpikingNeurons:
    """Read the neurons of a layer with synapses.

    They become LIF neurons, unless they have parameters per channel, delays, recurrence, or the
    scale of SLAYER's WgtScaleBatchNorm.
    """
    group = _neuron_group(layer)
    fields = _parameters(group, layer)
    if layer.has("bias"):
        fields["bias"] = read_bias(layer, channels)
    extra_fields: dict[str, Any] = {}
    if layer.has("delay"):
        extra_fields["delay"] = read_delay(layer, channels)
    if recurrent:
        weight = layer.integers("weight_rec")
        # A flattened matrix, which stock netx also accepts.
        is_flat = weight.ndim == 1 and not layer.own and weight.size % channels == 0
        extra_fields["weight_rec"] = weight.reshape(channels, -1) if is_flat else weight
    if "weight_exp" in group.names():
        extra_fields["drive_shift"] = _drive_shift(group, layer)
    is_plain_lif = not extra_fields and not any(
        np.ndim(value) for key, value in fields.items() if key != "bias"
    )
    kind: Any = Lif if is_plain_lif else CubaLif
    return kind(
        inputs=(currents,), **texts_of(group, layer.name, own=layer.own), **fields, **extra_fields
    )


def read_input_neurons(layer: StockLayer, image: str) -> CubaLif:
    """Read the neurons of an input layer, which integrate the image as their bias.

    They have no other input, so their u stays 0 regardless of its decay. With a memoryless u, the
    same image as a current gives the same v.
    """
    group = _neuron_group(layer)
    fields = _parameters(group, layer)
    fields["current_decay"] = DECAY_UNITY
    texts = texts_of(group, layer.name, own=layer.own)
    return CubaLif(inputs=(image,), **texts, **fields)


def _neuron_group(layer: StockLayer) -> SafeGroup:
    group = layer.group.subgroup("neuron")
    check_neuron_type(layer, group)
    optional = _OPTIONAL if layer.own else _OPTIONAL | _TRAINING
    expect_members(group, _REQUIRED | ({"vThMant"} if layer.own else set()), optional, layer)
    _look_at_unread(group, layer)
    return group


def check_neuron_type(layer: StockLayer, group: SafeGroup) -> str:
    """Return the type of a layer's neurons; raise an error if it is missing or unsupported."""
    if "type" not in group.names():
        raise NetworkFileError(group.where, "no member 'type'", "a neuron with its type")
    kind = group.text("type")
    if kind not in STOCK_NEURONS:
        status = "not supported" if kind in STOCK_NEURONS_REFUSED else "unknown"
        problem = f"neuron type {kind!a}, which is {status}"
        allowed = " or ".join(STOCK_NEURONS)
        raise NetworkFileError(f"{group.where}/type", problem, allowed, layer.without_it)
    return kind


def _parameters(group: SafeGroup, layer: StockLayer) -> dict[str, Any]:
    voltage_decay, current_decay = (
        read_per_channel(group, name, own=layer.own) for name in ("vDecay", "iDecay")
    )
    return {
        "threshold": _threshold(group, layer),
        "voltage_decay": voltage_decay,
        "current_decay": current_decay,
    }


def _threshold(group: SafeGroup, layer: StockLayer) -> int | np.ndarray:
    """Read the mantissa of the threshold, which older files also store in units of the state."""
    if "vThMant" not in group.names():
        return _threshold_of_theta(group, layer)
    threshold = read_per_channel(group, "vThMant", own=layer.own)
    if np.max(threshold) > THRESHOLD_LIMIT and layer.last and not layer.own:
        # SLAYER's Affine block writes a threshold of 18 bits, which is never reached: its result is
        # the membrane. 17 bits are never reached either; such an output is read from the membrane.
        threshold = np.minimum(threshold, THRESHOLD_LIMIT)
        threshold = threshold if threshold.ndim else int(threshold)
    if np.max(threshold) > THRESHOLD_LIMIT:
        raise NetworkFileError(
            group.at("vThMant"),
            f"a threshold of {np.max(threshold)}, which no membrane of 24 bits reaches: the layers "
            "behind it get no spikes",
            f"at most {THRESHOLD_LIMIT}, but in the last layer, whose membrane is the result",
            layer.up_to_it,
        )
    if "theta" in group.names():
        _compare_theta(group, layer, np.asarray(threshold, np.int64))
    return threshold


def _compare_theta(group: SafeGroup, layer: StockLayer, threshold: np.ndarray) -> None:
    """Add a note if theta, an older file's threshold in units of the state, contradicts vThMant."""
    expected, theta = threshold.reshape(-1) << ACTIVATION_SHIFT, said(group, "theta")
    if theta is None:
        statement = "theta is not a whole number"
    elif len({len(theta), expected.size} - {1}) < 2 and np.all(np.equal(theta, expected)):
        return
    else:
        statement = f"theta says {shortly(theta)}"
    mantissa, states = (
        shortly(tuple(numbers.tolist())) for numbers in (threshold.reshape(-1), expected)
    )
    text = f"{statement}, vThMant {mantissa}, which is {states} in its unit: vThMant is used"
    layer.notes.add(group.where, text)


def _threshold_of_theta(group: SafeGroup, layer: StockLayer) -> int | np.ndarray:
    if "theta" not in group.names():
        raise NetworkFileError(
            group.where, "no member 'vThMant'", "a threshold, as vThMant or 64 times that as theta"
        )
    theta = read_per_channel(group, "theta", own=False)
    if np.any(np.bitwise_and(theta, (1 << ACTIVATION_SHIFT) - 1)):
        raise NetworkFileError(
            group.at("theta"),
            f"{theta}, which is between two thresholds of Loihi",
            f"a multiple of {1 << ACTIVATION_SHIFT}",
        )
    layer.notes.add(group.where, "no vThMant: the threshold is theta / 64")
    return theta >> ACTIVATION_SHIFT


def _look_at_unread(group: SafeGroup, layer: StockLayer) -> None:
    """Add notes on members that SLAYER and stock netx ignore; refuse those that SLAYER uses."""
    names = group.names()
    for member, neutral, description in (
        ("refDelay", 1, "a refractory delay, which neither SLAYER nor stock netx simulates"),
        ("wgtExp", 0, "a weight exponent, which neither SLAYER nor stock netx applies"),
    ):
        if member not in names:
            continue
        if layer.own:
            if read_number(group, member, own=True) != neutral:
                raise NetworkFileError(group.at(member), description, str(neutral))
        elif set(said(group, member) or ()) != {neutral}:
            layer.notes.add(group.where, f"{member} not used: {description}")
    if "gradedSpike" in names and any(said(group, "gradedSpike") or (1,)):
        raise NetworkFileError(
            group.at("gradedSpike"),
            "graded spikes, which SLAYER's neurons send and Lava's LIF process cannot",
            "False",
            "train the block with graded_spike=False; stock netx would send ones in their place",
        )


def _drive_shift(group: SafeGroup, layer: StockLayer) -> int:
    exponent = read_number(group, "weight_exp", own=layer.own)
    shift = int(np.clip(exponent, -WEIGHT_EXP_LIMIT, WEIGHT_EXP_LIMIT))
    if shift != exponent:
        logger.info(
            "%s: weight_exp %d is limited to %d, as in SLAYER", group.where, exponent, shift
        )
    return shift


def read_bias(layer: StockLayer, channels: int) -> np.ndarray:
    """Read one bias per output channel, or one for all of them."""
    bias = layer.integers("bias").reshape(-1)
    return np.full(channels, bias[0]) if bias.size == 1 and not layer.own else bias


def read_delay(layer: StockLayer, channels: int) -> int | np.ndarray:
    """Read the axonal delays, one per output channel or one for all of them."""
    count = prod(layer.group.shape("delay"))
    if count not in (1, channels):
        raise NetworkFileError(
            layer.group.at("delay"),
            f"{count} delays for {channels} output channels",
            "one for each output channel, as SLAYER writes them",
            "train with axonal delays (delay=True); those of inputs have no counterpart",
        )
    return read_per_channel(layer.group, "delay", own=layer.own)
