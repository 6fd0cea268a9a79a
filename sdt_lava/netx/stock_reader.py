"""Reading of stock layers: those that lava-dl's SLAYER exports, and those of our writer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from sdt_lava.errors import NetworkFileError
from sdt_lava.graph import Conv, Dense, Flatten, Input, Lif, Node, Shape
from sdt_lava.netx.extended import read_scalar, read_texts
from sdt_lava.netx.guard import SafeGroup
from sdt_lava.netx.schema import (
    LAYER_OF_NODE,
    LAYER_OF_TYPE,
    RANK_LIMIT,
    STOCK_NEURONS,
    STOCK_NEURONS_REFUSED,
    STOCK_REFUSED,
    STOCK_TYPES,
)

# Members that SLAYER writes for features without counterpart here, and what to do about them.
_REFUSED_MEMBERS = {
    "delay": "synaptic and axonal delays are not supported yet: train without them",
    "weight_exp": "stock netx ignores it and gives other spikes: use MeanOnlyBatchNorm",
    "messageBits": "neurons with graded spikes are not supported",
    "sigma_output": "sigma-delta neurons are not supported",
    "weight_rec": "recurrent layers are not supported yet",
}
_SCALAR_SHAPES = ((), (1,))

# Nodes, and the output shapes that the file declares for some of them, by name.
StockNodes = tuple[list[Node], dict[str, Shape]]


@dataclass(frozen=True)
class _Source:
    """What kinds of numbers a file may hold: SLAYER exports integers as floats."""

    weight_kinds: str
    own: bool


_OWN = _Source("iu", own=True)
_FOREIGN = _Source("iuf", own=False)


def read_own_nodes(layers: list[SafeGroup], types: list[str]) -> StockNodes:
    """Read stock layers written by sdt-lava, with their names and the input's range."""
    return _read_nodes(layers, types, _OWN, [])


def read_foreign_nodes(
    layers: list[SafeGroup], types: list[str], input_shape: Shape | None
) -> StockNodes:
    """Read a SLAYER export; nodes are named after their layer's index."""
    if types[0] == "input":
        if input_shape is not None:
            raise NetworkFileError(
                f"{layers[0].where}", "an input layer with a shape", "no input_shape argument"
            )
        return _read_nodes(layers, types, _FOREIGN, [])
    _check_type(layers[0], types[0])
    if input_shape is None:
        raise NetworkFileError(
            layers[0].where,
            f"a layer of type {types[0]!r} where the network starts",
            "a layer of type 'input' that gives the shape of the input",
            "give load_network the argument input_shape=(C, H, W), or begin the SLAYER "
            "network with slayer.block.cuba.Input(delay_shift=False)",
        )
    return _read_nodes(layers, types, _FOREIGN, [Input(name="input", shape=tuple(input_shape))])


def _read_nodes(
    layers: list[SafeGroup], types: list[str], source: _Source, nodes: list[Node]
) -> StockNodes:
    shapes: dict[str, Shape] = {}
    for index, (group, layer_type) in enumerate(zip(layers, types, strict=True)):
        _check_type(group, layer_type)
        if (layer_type == "input") != (not nodes):
            found = f"a layer of type {layer_type!r} at position {index}"
            raise NetworkFileError(group.where, found, "exactly one input layer, at the start")
        before = (nodes[-1].name,) if nodes else ()
        nodes += _READERS[layer_type](group, f"layer.{index}", before, source)
        if "shape" in group.names():
            shapes[nodes[-1].name] = _vector(group, "shape", source)
    return nodes, shapes


def _check_type(group: SafeGroup, layer_type: str) -> None:
    if layer_type in STOCK_TYPES:
        return
    where, allowed = f"{group.where}/type", ", ".join(STOCK_TYPES)
    if layer_type in STOCK_REFUSED:
        found = f"stock layer type {layer_type!r}, which is not supported"
        raise NetworkFileError(where, found, allowed, STOCK_REFUSED[layer_type])
    if layer_type in LAYER_OF_TYPE:
        found = f"layer type {layer_type!r} of an extended file, whose start is missing"
        raise NetworkFileError(where, found, allowed, "export the network again")
    raise NetworkFileError(where, f"unknown layer type {layer_type!a}", allowed)


def _expect(group: SafeGroup, required: set[str], optional: set[str]) -> None:
    for name in group.names():
        if name in _REFUSED_MEMBERS:
            raise NetworkFileError(group.where, f"member {name!r}", "none", _REFUSED_MEMBERS[name])
    group.expect(required, optional)


def _name(group: SafeGroup, fallback: str, source: _Source, more: tuple[str, ...] = ()) -> Any:
    """Return name, block and origin: from attributes in our own files."""
    if not source.own:
        return {"name": fallback}
    group.expect_attributes({"name", *more}, {"block", "origin"})
    return read_texts(group)


def _integers(group: SafeGroup, name: str, source: _Source) -> np.ndarray:
    """Read whole numbers, whether stored as integers or as floats."""
    values, where = group.numbers(name, source.weight_kinds), group.at(name)
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            whole = np.isfinite(values).all() and (np.rint(values) == values).all()
        if not whole:
            raise NetworkFileError(
                where,
                "NaN, infinity or fractions",
                "whole numbers",
                "stock netx would cut the fractions off; train with a quantizing pre_hook_fx",
            )
    if np.abs(values.astype(np.float64)).max() > np.iinfo(np.int32).max:
        raise NetworkFileError(where, "values beyond 32 bits", "Loihi's integer ranges")
    return values.astype(np.int32)


def _vector(group: SafeGroup, name: str, source: _Source) -> tuple[int, ...]:
    values = _integers(group, name, source)
    if values.ndim > 1 or values.size > RANK_LIMIT:
        raise NetworkFileError(group.at(name), f"shape {values.shape}", "a few numbers")
    return tuple(np.atleast_1d(values).tolist())


def _number(group: SafeGroup, name: str, source: _Source) -> int:
    values = _integers(group, name, source)
    if values.shape not in _SCALAR_SHAPES:
        raise NetworkFileError(
            group.at(name), f"shape {values.shape}", "one value for the whole layer"
        )
    return int(values.reshape(()))


def _agree(group: SafeGroup, name: str, expected: object, source: _Source) -> None:
    """Check a member that says again what others say; stock netx does not read it."""
    if name in group.names():
        found = _vector(group, name, source)
        if found != expected:
            raise NetworkFileError(group.at(name), f"{found}", f"{expected}, as the weights say")


def _pair(group: SafeGroup, name: str, source: _Source) -> tuple[int, int]:
    sides = _vector(group, name, source)
    if len(sides) not in (1, 2):
        raise NetworkFileError(group.at(name), f"{len(sides)} numbers", "1 or 2")
    return sides[0], sides[-1]


def _read_input(
    group: SafeGroup, name: str, before: tuple[str, ...], source: _Source
) -> list[Node]:
    if "neuron" in group.names():
        raise NetworkFileError(
            group.where,
            "an input layer with neurons",
            "an input layer without",
            "not supported yet: give SLAYER's Input block no neuron parameters",
        )
    _expect(group, {"type", "shape"}, set())
    scalars = [scalar for scalar in LAYER_OF_NODE[Input].scalars if scalar.name != "shape"]
    fields = _name(group, name, source, tuple(scalar.name for scalar in scalars))
    if source.own:
        fields.update({scalar.name: read_scalar(group, scalar) for scalar in scalars})
    return [Input(shape=_vector(group, "shape", source), **fields)]


def _read_flatten(
    group: SafeGroup, name: str, before: tuple[str, ...], source: _Source
) -> list[Node]:
    _expect(group, {"type"}, {"shape"})
    return [Flatten(inputs=before, **_name(group, name, source))]


def _read_conv(group: SafeGroup, name: str, before: tuple[str, ...], source: _Source) -> list[Node]:
    required = {"type", "shape", "weight", "stride", "padding", "dilation", "groups", "neuron"}
    _expect(group, required, {"inChannels", "outChannels", "kernelSize", "bias"})
    weight = _integers(group, "weight", source)
    if weight.ndim == 5 and weight.shape[4] == 1:  # SLAYER's kernels have a time axis
        weight = weight[..., 0]
    if weight.ndim != 4:
        found = f"shape {weight.shape}"
        raise NetworkFileError(group.at("weight"), found, "(O, C/groups, kH, kW)")
    groups = _number(group, "groups", source)
    _agree(group, "inChannels", (weight.shape[1] * groups,), source)
    _agree(group, "outChannels", (weight.shape[0],), source)
    _agree(group, "kernelSize", weight.shape[2:], source)
    synapse = Conv(
        inputs=before,
        weight=weight,
        stride=_pair(group, "stride", source),
        padding=_pair(group, "padding", source),
        dilation=_pair(group, "dilation", source),
        groups=groups,
        **_name(group, f"{name}.synapse", source),
    )
    return [synapse, _read_neuron(group, name, synapse, source)]


def _read_dense(
    group: SafeGroup, name: str, before: tuple[str, ...], source: _Source
) -> list[Node]:
    _expect(group, {"type", "shape", "weight", "neuron"}, {"inFeatures", "outFeatures", "bias"})
    weight = _integers(group, "weight", source)
    outputs = prod(_vector(group, "shape", source))
    if weight.ndim == 1 and outputs > 0 and weight.size % outputs == 0:
        weight = weight.reshape(outputs, -1)  # as stock netx does
    if weight.ndim != 2 or weight.shape[0] != outputs:
        found = f"shape {weight.shape}"
        raise NetworkFileError(group.at("weight"), found, f"({outputs}, inputs)")
    _agree(group, "inFeatures", (weight.shape[1],), source)
    _agree(group, "outFeatures", (weight.shape[0],), source)
    synapse = Dense(inputs=before, weight=weight, **_name(group, f"{name}.synapse", source))
    return [synapse, _read_neuron(group, name, synapse, source)]


def _read_neuron(group: SafeGroup, name: str, synapse: Node, source: _Source) -> Lif:
    neuron = group.subgroup("neuron")
    if "type" not in neuron.names():
        raise NetworkFileError(neuron.where, "no member 'type'", "a neuron with its type")
    kind = neuron.text("type")
    if kind not in STOCK_NEURONS:
        known = "not supported" if kind in STOCK_NEURONS_REFUSED else "unknown"
        found = f"neuron type {kind!a}, which is {known}"
        raise NetworkFileError(f"{neuron.where}/type", found, " or ".join(STOCK_NEURONS))
    _expect(neuron, {"type", "iDecay", "vDecay", "vThMant"}, {"refDelay", "gradedSpike"})
    if "refDelay" in neuron.names() and _number(neuron, "refDelay", source) != 1:
        raise NetworkFileError(neuron.at("refDelay"), "a refractory delay", "1")
    if "gradedSpike" in neuron.names() and neuron.numbers("gradedSpike", "biu").any():
        raise NetworkFileError(neuron.at("gradedSpike"), "graded spikes", "False")
    lif = Lif(
        inputs=(synapse.name,),
        threshold=_number(neuron, "vThMant", source),
        voltage_decay=_number(neuron, "vDecay", source),
        current_decay=_number(neuron, "iDecay", source),
        **_name(neuron, name, source),
    )
    if "bias" in group.names():
        lif = replace(lif, bias=_integers(group, "bias", source).reshape(-1))
    return lif


_READERS: dict[str, Callable[[SafeGroup, str, tuple[str, ...], _Source], list[Node]]] = {
    "input": _read_input,
    "flatten": _read_flatten,
    "conv": _read_conv,
    "dense": _read_dense,
}
