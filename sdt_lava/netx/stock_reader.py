"""Reading of stock layers: those that lava-dl's SLAYER exports, and those of our writer."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from sdt_lava.errors import NetworkFileError
from sdt_lava.graph import Conv, Dense, Flatten, Input, Node, Readout, Shape
from sdt_lava.graph.nodes import Synapse
from sdt_lava.limits import limits, remedy
from sdt_lava.netx.extended import read_scalars, split_defaults
from sdt_lava.netx.guard import SafeGroup
from sdt_lava.netx.schema import (
    BIAS_HIGH,
    BIAS_LOW,
    LAYER_OF_NODE,
    LAYER_OF_TYPE,
    STOCK_REFUSED,
    STOCK_TYPES,
)
from sdt_lava.netx.stock_fields import StockLayer
from sdt_lava.netx.stock_neurons import read_input_neurons, read_neurons
from sdt_lava.netx.stock_sigma_delta import (
    encoded_range,
    is_sigma_delta,
    read_delta,
    read_sigma_delta,
)
from sdt_lava.numerics import MAX_WEIGHT_EXPONENT, lava_weights

# Stock netx's factor for images where the file has none: SLAYER's units of a threshold.
_DEFAULT_IMAGE_WEIGHT = 64

# Nodes, and the output shapes that the file declares for some of them, by name.
StockNodes = tuple[list[Node], dict[str, Shape]]


def read_own_nodes(layers: list[SafeGroup], types: list[str]) -> StockNodes:
    """Read stock layers written by sdt-lava, with their names and the input's range."""
    return _read_nodes(layers, types, [], own=True)


def read_foreign_nodes(
    layers: list[SafeGroup], types: list[str], input_shape: Shape | None
) -> StockNodes:
    """Read a SLAYER export; nodes are named after their layer's index."""
    if types[0] == "input":
        if input_shape is not None:
            raise NetworkFileError(
                f"{layers[0].where}", "an input layer with a shape", "no input_shape argument"
            )
        return _read_nodes(layers, types, [], own=False)
    _check_type(layers[0], types[0])
    if input_shape is None:
        raise NetworkFileError(
            layers[0].where,
            f"a layer of type {types[0]!r} where the network starts",
            "a layer of type 'input' that gives the shape of the input",
            "give load_network the argument input_shape=(C, H, W) (commands: --input-shape C,H,W), "
            "or begin the SLAYER network with slayer.block.cuba.Input(delay_shift=False)",
        )
    entry = Input(name="input", shape=tuple(input_shape), widens=True)
    return _read_nodes(layers, types, [entry], own=False)


def _read_nodes(
    layers: list[SafeGroup], types: list[str], nodes: list[Node], *, own: bool
) -> StockNodes:
    shapes: dict[str, Shape] = {}
    for index, (group, layer_type) in enumerate(zip(layers, types, strict=True)):
        _check_type(group, layer_type)
        if (layer_type == "input") != (not nodes):
            found = f"a layer of type {layer_type!r} at position {index}"
            raise NetworkFileError(group.where, found, "exactly one input layer, at the start")
        last = index == len(layers) - 1
        layer = StockLayer(group, f"layer.{index}", tuple(nodes), own, last)
        nodes += _READERS[layer_type](layer)
        if layer.has("shape"):
            shapes[nodes[-1].name] = layer.vector("shape")
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


def _read_input(layer: StockLayer) -> list[Node]:
    neurons = layer.has("neuron")
    layer.expect({"type", "shape"}, {"neuron", "weight", "bias"} if neurons else set())
    scalars = [scalar for scalar in LAYER_OF_NODE[Input].scalars if scalar.name != "shape"]
    needed, spared = split_defaults(scalars)
    fields: dict[str, Any] = {
        "shape": layer.vector("shape"),
        **layer.texts("input" if neurons else layer.name, needed, spared),
    }
    if layer.own:
        fields.update(read_scalars(layer.group, scalars))
    else:
        fields.update(_foreign_range(layer) if neurons else {"widens": True})
    if not neurons:
        return [Input(**fields)]
    transform = _image_transform(layer)
    if layer.own and any(fields.get(key, 0.0) != value for key, value in transform.items()):
        allowed = f"{fields['scale']:g} and {fields.get('offset', 0.0):g}, as the attributes say"
        raise NetworkFileError(layer.group.at("weight"), f"{transform}", allowed)
    fields.update(transform)
    read = read_delta if is_sigma_delta(layer) else read_input_neurons
    return [Input(**fields), read(layer, fields["name"])]


def _foreign_range(layer: StockLayer) -> dict[str, Any]:
    if not is_sigma_delta(layer):
        return {"low": BIAS_LOW, "high": BIAS_HIGH}
    transform = _image_transform(layer)
    is_given = layer.has("weight") or layer.has("bias")
    return encoded_range(int(transform["scale"]), int(transform["offset"]), is_given)


def _image_transform(layer: StockLayer) -> dict[str, float]:
    """Read what turns an image into the bias of the first neurons: ``weight * x + bias``."""
    weight = layer.number("weight") if layer.has("weight") else _DEFAULT_IMAGE_WEIGHT
    bias = layer.number("bias") if layer.has("bias") else 0
    return {"scale": float(weight), "offset": float(bias)}


def _read_flatten(layer: StockLayer) -> list[Node]:
    layer.expect({"type"}, {"shape"})
    return [Flatten(inputs=layer.before, **layer.texts(layer.name))]


def _kernels(layer: StockLayer) -> np.ndarray:
    weight = layer.integers("weight")
    if weight.ndim == 5 and weight.shape[4] == 1:  # SLAYER's kernels have a time axis
        weight = weight[..., 0]
    if weight.ndim != 4:
        found = f"shape {weight.shape}"
        raise NetworkFileError(layer.group.at("weight"), found, "(O, C/groups, kH, kW)")
    return weight


def _read_conv(layer: StockLayer) -> list[Node]:
    required = {"type", "shape", "weight", "stride", "padding", "dilation", "groups", "neuron"}
    layer.expect(required, {"inChannels", "outChannels", "kernelSize", "bias", "delay"})
    weight, groups = _kernels(layer), layer.number("groups")
    layer.agree("inChannels", (weight.shape[1] * groups,))
    layer.agree("outChannels", (weight.shape[0],))
    layer.agree("kernelSize", weight.shape[2:])
    return _convolution(layer, weight, groups)


def _read_pool(layer: StockLayer) -> list[Node]:
    """Read a sum-pool: one kernel, which each channel is convolved with."""
    required = {"type", "shape", "weight", "stride", "padding", "dilation", "neuron"}
    layer.expect(required, {"kernelSize", "delay"})
    kernel, shape = _kernels(layer), layer.source_shape
    if kernel.shape[:2] != (1, 1) or 0 in kernel.shape:
        found = f"weight {kernel.shape}"
        raise NetworkFileError(layer.group.where, found, "one kernel (1, 1, kH, kW)")
    if len(shape) != 3:
        raise NetworkFileError(layer.group.where, f"a pool of {shape}", "of an image (C, H, W)")
    layer.agree("kernelSize", kernel.shape[2:])
    border = _pool_border(layer, shape, kernel.shape[2:])
    rows, columns = np.floor_divide(border, layer.pair("dilation"))
    # A row of zeros above the kernel and of padding on either side is one of padding below.
    size = (kernel.shape[2] + int(rows)) * (kernel.shape[3] + int(columns))
    most = limits().population
    if shape[0] * size > most:
        found, allowed = f"{shape[0]} channels of {size} weights", f"at most {most} together"
        raise NetworkFileError(layer.group.where, found, allowed, remedy("population"))
    kernel = np.pad(kernel, [(0, 0), (0, 0), (rows, 0), (columns, 0)])
    return _convolution(layer, np.repeat(kernel, shape[0], axis=0), shape[0], border)


def _pool_border(layer: StockLayer, shape: Shape, kernel: tuple[int, ...]) -> tuple[int, int]:
    """Return the rows and columns of zeros that SLAYER appends to an image before it pools.

    SLAYER stacks the channels of an image on top of one another and pools the stack. Windows that
    do not tile a channel reach into the next one: such pools are refused.
    """
    (stride, _), (padding, _) = layer.pair("stride"), layer.pair("padding")
    dilation = layer.pair("dilation")
    rows, columns = shape[1] % kernel[0], shape[2] % kernel[1]
    window = dilation[0] * (kernel[0] - 1) + 1
    if padding or window > stride or stride < 1 or (shape[1] + rows) % stride:
        raise NetworkFileError(
            layer.group.where,
            f"a pool with kernel {kernel}, whose windows reach into the next channel in SLAYER",
            "windows that tile the height of each channel",
        )
    if min(dilation) < 1 or columns % dilation[1] or rows % dilation[0]:
        found = f"a dilation of {dilation} where SLAYER appends {(rows, columns)} zeros"
        raise NetworkFileError(layer.group.at("dilation"), found, "sides that the kernel divides")
    return rows, columns


def _convolution(
    layer: StockLayer, weight: np.ndarray, groups: int, border: tuple[int, ...] = (0, 0)
) -> list[Node]:
    padding = layer.pair("padding")
    synapse = Conv(
        inputs=layer.before,
        stride=layer.pair("stride"),
        padding=(padding[0] + border[0], padding[1] + border[1]),
        dilation=layer.pair("dilation"),
        groups=groups,
        **_weights(layer, weight),
        **layer.texts(f"{layer.name}.synapse"),
    )
    return _with_neurons(layer, synapse)


def _read_dense(layer: StockLayer, *more: str) -> list[Node]:
    # A layer without neurons adds up its currents: stock netx gives it neurons that never fire.
    ends = layer.last and not layer.own and not more
    required = {"type", "shape", "weight", *more}
    optional = {"inFeatures", "outFeatures", "bias", "delay"}
    layer.expect(required | (set() if ends else {"neuron"}), optional | {"neuron"})
    weight = layer.integers("weight")
    outputs = prod(layer.vector("shape"))
    if weight.ndim == 1 and outputs > 0 and weight.size % outputs == 0:
        weight = weight.reshape(outputs, -1)  # as stock netx does
    if weight.ndim != 2 or weight.shape[0] != outputs:
        found = f"shape {weight.shape}"
        raise NetworkFileError(layer.group.at("weight"), found, f"({outputs}, inputs)")
    layer.agree("inFeatures", (weight.shape[1],))
    layer.agree("outFeatures", (weight.shape[0],))
    if not layer.has("neuron"):
        return [_readout(layer, weight)]
    texts = layer.texts(f"{layer.name}.synapse")
    return _with_neurons(layer, Dense(inputs=layer.before, **_weights(layer, weight), **texts))


def _readout(layer: StockLayer, weight: np.ndarray) -> Readout:
    if layer.has("bias") or layer.has("delay"):
        found = "a bias or delays in a layer without neurons"
        raise NetworkFileError(layer.group.where, found, "neither")
    return Readout(name=layer.name, inputs=layer.before, **_weights(layer, weight))


def _read_recurrent(layer: StockLayer) -> list[Node]:
    return _read_dense(layer, "weight_rec")


def _with_neurons(layer: StockLayer, synapse: Synapse) -> list[Node]:
    read = read_sigma_delta if is_sigma_delta(layer) else read_neurons
    return [synapse, read(layer, synapse.name)]


def _weights(layer: StockLayer, weight: np.ndarray) -> dict[str, Any]:
    """Return weights, and the exponent with which eight bits hold them, if there is one."""
    if not layer.own and lava_weights(weight) is None:
        for exponent in range(1, MAX_WEIGHT_EXPONENT + 1):
            if (weight & ((1 << exponent) - 1)).any():
                break
            if lava_weights(weight >> exponent) is not None:
                return {"weight": weight >> exponent, "exponent": exponent}
    return {"weight": weight}


_READERS: dict[str, Callable[[StockLayer], list[Node]]] = {
    "input": _read_input,
    "flatten": _read_flatten,
    "conv": _read_conv,
    "pool": _read_pool,
    "dense": _read_dense,
    "dense_rec": _read_recurrent,
}
