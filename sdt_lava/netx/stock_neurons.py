"""Reading the neurons of a stock layer: CUBA, which older files call LOIHI."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from sdt_lava.errors import NetworkFileError
from sdt_lava.graph import CubaLif, Lif
from sdt_lava.netx.guard import SafeGroup
from sdt_lava.netx.schema import STOCK_NEURONS, STOCK_NEURONS_REFUSED
from sdt_lava.netx.stock_fields import (
    StockLayer,
    expect_members,
    read_number,
    read_per_channel,
    texts_of,
)
from sdt_lava.numerics import ACTIVATION_SHIFT, DECAY_UNITY, THRESHOLD_LIMIT

logger = logging.getLogger(__name__)

_REQUIRED = {"type", "iDecay", "vDecay", "vThMant"}
_OPTIONAL = {"refDelay", "gradedSpike", "messageBits", "weight_exp", "wgtExp", "theta"}
# Surrogate gradients: they matter only for training.
_TRAINING = {"scaleRho", "tauRho"}
# SLAYER divides by 2^weight_exp, limited to the three bits that WgtScaleBatchNorm has by default.
# It writes the exponent without this limit.
WEIGHT_EXP_LIMIT = 3


def read_neurons(layer: StockLayer, currents: str) -> Lif | CubaLif:
    """Read the neurons of a layer with synapses.

    They are LIF neurons, unless they need more: parameters by channel, delays, recurrence, or the
    scale of SLAYER's WgtScaleBatchNorm.
    """
    group = _neuron_group(layer)
    fields = _parameters(group, layer)
    if layer.has("bias"):
        fields["bias"] = layer.integers("bias").reshape(-1)
    more: dict[str, Any] = {}
    if layer.has("delay"):
        more["delay"] = read_delay(layer)
    if layer.has("weight_rec"):
        more["weight_rec"] = layer.integers("weight_rec")
    if "weight_exp" in group.names():
        more["drive_shift"] = _drive_shift(group, layer)
    plain = not more and not any(np.ndim(value) for key, value in fields.items() if key != "bias")
    kind: Any = Lif if plain else CubaLif
    return kind(inputs=(currents,), **texts_of(group, layer.name, own=layer.own), **fields, **more)


def read_input_neurons(layer: StockLayer, image: str) -> CubaLif:
    """Read the neurons of an input layer, which integrate the image as their bias.

    Nothing else reaches them, so their u stays 0, whatever its decay. Without memory in u, the same
    image as a current gives the same v.
    """
    group = _neuron_group(layer)
    fields = _parameters(group, layer)
    fields["current_decay"] = DECAY_UNITY
    texts = texts_of(group, layer.name, own=layer.own)
    return CubaLif(inputs=(image,), **texts, **fields)


def _neuron_group(layer: StockLayer) -> SafeGroup:
    group = layer.group.subgroup("neuron")
    if "type" not in group.names():
        raise NetworkFileError(group.where, "no member 'type'", "a neuron with its type")
    kind = group.text("type")
    if kind not in STOCK_NEURONS:
        known = "not supported" if kind in STOCK_NEURONS_REFUSED else "unknown"
        found = f"neuron type {kind!a}, which is {known}"
        raise NetworkFileError(f"{group.where}/type", found, " or ".join(STOCK_NEURONS))
    expect_members(group, _REQUIRED, _OPTIONAL | (set() if layer.own else _TRAINING))
    _refuse(group, layer)
    return group


def _parameters(group: SafeGroup, layer: StockLayer) -> dict[str, Any]:
    threshold, voltage_decay, current_decay = (
        read_per_channel(group, name, own=layer.own) for name in ("vThMant", "vDecay", "iDecay")
    )
    if np.max(threshold) > THRESHOLD_LIMIT:
        raise NetworkFileError(
            group.at("vThMant"),
            f"a threshold of {np.max(threshold)}, which no membrane of 24 bits reaches",
            f"at most {THRESHOLD_LIMIT}",
            "SLAYER writes it for its Affine block, whose result is the membrane; leave that block "
            "out, or end with a Dense block",
        )
    if "theta" in group.names():
        _check_theta(group, layer, threshold)
    return {
        "threshold": threshold,
        "voltage_decay": voltage_decay,
        "current_decay": current_decay,
    }


def _check_theta(group: SafeGroup, layer: StockLayer, threshold: Any) -> None:
    """Check a member of older files that says the threshold again, in units of the state."""
    theta = read_per_channel(group, "theta", own=layer.own)
    expected = np.asarray(threshold) << ACTIVATION_SHIFT
    if not np.array_equal(theta, expected):
        raise NetworkFileError(group.at("theta"), f"{theta}", f"{expected}, as vThMant says")


def _refuse(group: SafeGroup, layer: StockLayer) -> None:
    """Refuse features by name that lava-dl's own simulation ignores."""
    present = group.names()
    for member, neutral, what in (
        ("refDelay", 1, "a refractory delay, which neither SLAYER nor stock netx simulates"),
        ("wgtExp", 0, "a weight exponent, which neither SLAYER nor stock netx applies"),
    ):
        if member in present and read_number(group, member, own=layer.own) != neutral:
            raise NetworkFileError(group.at(member), what, str(neutral))
    if "gradedSpike" in present and group.numbers("gradedSpike", "biu").any():
        found = "graded spikes, which Lava's LIF process cannot send"
        raise NetworkFileError(group.at("gradedSpike"), found, "False")
    # Binary spikes are the same whatever the width of the messages.
    if "messageBits" in present and not 0 <= read_number(group, "messageBits", own=layer.own) <= 32:
        raise NetworkFileError(group.at("messageBits"), "an impossible width", "0 to 32")


def _drive_shift(group: SafeGroup, layer: StockLayer) -> int:
    exponent = read_number(group, "weight_exp", own=layer.own)
    shift = int(np.clip(exponent, -WEIGHT_EXP_LIMIT, WEIGHT_EXP_LIMIT))
    if shift != exponent:
        logger.info(
            "%s: weight_exp %d is limited to %d, as in SLAYER", group.where, exponent, shift
        )
    return shift


def read_delay(layer: StockLayer) -> int | np.ndarray:
    """Read the axonal delay of each output channel."""
    delay = read_per_channel(layer.group, "delay", own=layer.own)
    outputs = layer.vector("shape")[0] if layer.has("shape") else np.size(delay)
    if np.size(delay) not in (1, outputs):
        raise NetworkFileError(
            layer.group.at("delay"),
            f"{np.size(delay)} delays for {outputs} output channels",
            "one for each output channel, as SLAYER writes them",
            "delays of the inputs or of single synapses are not supported",
        )
    return delay
