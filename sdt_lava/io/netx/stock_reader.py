"""Read stock layers, exported by lava-dl's SLAYER or written by sdt-lava."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from sdt_lava.errors import NetworkFileError
from sdt_lava.io.limits import limits, remedy
from sdt_lava.io.netx.extended import read_scalars, split_defaults
from sdt_lava.io.netx.notes import Notes
from sdt_lava.io.netx.schema import (
    BIAS_HIGH,
    BIAS_LOW,
    LAYER_OF_NODE,
    LAYER_OF_TYPE,
    STOCK_REFUSED,
    STOCK_TYPES,
)
from sdt_lava.io.netx.stock_entry import Choice, entry_shape
from sdt_lava.io.netx.stock_fields import (
    StockLayer,
    first_layers,
    frame_shape,
    read_integers,
    read_vector,
)
from sdt_lava.io.netx.stock_neurons import read_bias, read_input_neurons, read_neurons
from sdt_lava.io.netx.stock_sigma_delta import (
    encoded_range,
    is_sigma_delta,
    read_delta,
    read_sigma_delta,
)
from sdt_lava.ir import Conv, Dense, Flatten, GroupSum, Input, Node, Readout, Shape
from sdt_lava.ir.numerics import MAX_WEIGHT_EXPONENT, lava_weights

# Stock netx's default factor for images: SLAYER's unit of a threshold.
_DEFAULT_IMAGE_WEIGHT = 64
# Layer types whose declared output shape stock netx reads.
_SHAPED = ("input", "conv", "dense", "dense_rec")


@dataclass(frozen=True)
class StockNodes:
    """The nodes of a file in the stock layout.

    Parameters
    ----------
    nodes : list of Node
        Nodes in the order of the layers.
    declared : dict of str to tuple
        Output shapes that the file declares, by node.
    """

    nodes: list[Node]
    declared: dict[str, Shape]


def read_own_nodes(choice: Choice, notes: Notes) -> StockNodes:
    """Read stock layers written by sdt-lava, including their names and the range of the input."""
    nodes: list[Node] = []
    if choice.skipped:
        shape = entry_shape(choice, None, own=True)
        nodes.append(Input(name="skipped", shape=shape, widens=True))
    return _read_nodes(choice, nodes, notes, own=True)


def read_foreign_nodes(choice: Choice, input_shape: Shape | None, notes: Notes) -> StockNodes:
    """Read the layers of a SLAYER export; nodes are named after the indices of their layers."""
    if choice.types[0] == "input":
        first = choice.layers[0]
        if input_shape is not None and "shape" in first.names():
            file_shape = frame_shape(read_vector(first, "shape", own=False))
            if tuple(input_shape) != file_shape:
                raise NetworkFileError(
                    first.at("shape"),
                    f"{file_shape}, where the argument input_shape says {tuple(input_shape)}",
                    "one of both",
                    "leave input_shape (commands: --input-shape) out",
                )
        return _read_nodes(choice, [], notes, own=False, input_shape=input_shape)
    check_type(choice, 0)
    shape = entry_shape(choice, input_shape)
    entry = Input(name="input", shape=shape, widens=True)
    return _read_nodes(choice, [entry], notes, own=False)


def _read_nodes(
    choice: Choice,
    nodes: list[Node],
    notes: Notes,
    *,
    own: bool,
    input_shape: Shape | None = None,
) -> StockNodes:
    declared_shapes: dict[str, Shape] = {}
    for position, (group, layer_type) in enumerate(zip(choice.layers, choice.types, strict=True)):
        check_type(choice, position)
        if (layer_type == "input") != (not nodes):
            problem = f"a layer of type {layer_type!r} at position {choice.index(position)}"
            raise NetworkFileError(group.where, problem, "exactly one input layer, at the start")
        is_last = position == len(choice.layers) - 1
        layer = StockLayer(group, choice.index(position), tuple(nodes), own, is_last, notes)
        if layer_type == "input":
            nodes += _read_input(layer, choice, input_shape)
        elif layer_type == "flatten" and is_last and not own:
            notes.add(group.where, "a flatten at the end is left out")
        else:
            nodes += _READERS[layer_type](layer)
        if layer.has("shape") and layer_type in _SHAPED:
            declared_shapes[nodes[-1].name] = layer.shape()
    return StockNodes(nodes, declared_shapes)


def check_type(choice: Choice, position: int) -> None:
    """Raise an error if a layer is unsupported; the remedy reads the layers before it."""
    layer_type, group = choice.types[position], choice.layers[position]
    if layer_type in STOCK_TYPES:
        return
    where, allowed = f"{group.where}/type", ", ".join(STOCK_TYPES)
    if layer_type in LAYER_OF_TYPE:
        problem = f"layer type {layer_type!r} of an extended file, whose start is missing"
        raise NetworkFileError(where, problem, allowed, "export the network again")
    problem = f"unknown layer type {layer_type!a}"
    if layer_type in STOCK_REFUSED:
        problem = f"stock layer type {layer_type!r}, {STOCK_REFUSED[layer_type]}"
    readable_types = [kind for kind in choice.types[:position] if kind not in ("input", "flatten")]
    raise NetworkFileError(
        where, problem, allowed, first_layers(choice.index(position)) if readable_types else ""
    )


def _read_input(layer: StockLayer, choice: Choice, input_shape: Shape | None) -> list[Node]:
    has_neurons = layer.has("neuron")
    required = {"type"} | ({"shape"} if layer.own else set())
    layer.expect(required, {"shape"} | ({"neuron", "weight", "bias"} if has_neurons else set()))
    if layer.has("shape"):
        shape = layer.shape()
    else:
        shape = entry_shape(choice.without_first(), input_shape)
    scalars = [scalar for scalar in LAYER_OF_NODE[Input].scalars if scalar.name != "shape"]
    required_attributes, optional_attributes = split_defaults(scalars)
    fields: dict[str, Any] = {
        "shape": shape,
        **layer.texts(
            "input" if has_neurons else layer.name, required_attributes, optional_attributes
        ),
    }
    if layer.own:
        fields.update(read_scalars(layer.group, scalars))
    else:
        fields.update(_foreign_range(layer) if has_neurons else {"widens": True})
    if not has_neurons:
        return [Input(**fields)]
    transform = _image_transform(layer)
    if layer.own and any(fields.get(key, 0.0) != value for key, value in transform.items()):
        allowed = f"{fields['scale']:g} and {fields.get('offset', 0.0):g}, as the attributes say"
        raise NetworkFileError(layer.group.at("weight"), f"{transform}", allowed)
    fields.update(transform)
    read_layer = read_delta if is_sigma_delta(layer) else read_input_neurons
    return [Input(**fields), read_layer(layer, fields["name"])]


def _foreign_range(layer: StockLayer) -> dict[str, Any]:
    if not is_sigma_delta(layer):
        return {"low": BIAS_LOW, "high": BIAS_HIGH}
    transform = _image_transform(layer)
    is_given = layer.has("weight") or layer.has("bias")
    return encoded_range(int(transform["scale"]), int(transform["offset"]), is_given)


def _image_transform(layer: StockLayer) -> dict[str, float]:
    """Read the transform of an image to the bias of the first neurons: ``weight * x + bias``."""
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
    if weight.ndim == 5 and weight.shape[0] == 1 and not layer.own:  # or a batch axis of length 1
        weight = weight[0]
    if weight.ndim != 4:
        problem = f"shape {weight.shape}"
        raise NetworkFileError(layer.group.at("weight"), problem, "(O, C/groups, kH, kW)")
    return weight


def _read_conv(layer: StockLayer) -> list[Node]:
    windows = {"stride", "padding", "dilation", "groups"}
    required = {"type", "weight", "neuron"}
    if layer.own or not layer.has("shape"):
        # With a declared shape, defaults for missing members can be checked.
        required |= {"shape", *windows} if layer.own else windows
    optional = {"shape", "inChannels", "outChannels", "kernelSize", "bias", "delay", *windows}
    layer.expect(required, optional)
    weight = _kernels(layer)
    groups = layer.number("groups") if layer.has("groups") else _groups(layer, weight)
    layer.agree("inChannels", (weight.shape[1] * groups,))
    layer.agree("outChannels", (weight.shape[0],))
    layer.agree("kernelSize", weight.shape[2:])
    return _convolution(layer, weight, groups)


def _groups(layer: StockLayer, weight: np.ndarray) -> int:
    """Return the number of groups that the channels of input and weights imply."""
    shape = layer.source_shape
    groups = shape[0] // weight.shape[1] if len(shape) == 3 else 1
    layer.notes.add(layer.group.where, f"no groups: {groups}, as channels and weights say")
    return groups


def _read_pool(layer: StockLayer) -> list[Node]:
    """Read a sum pool as a convolution that applies the same kernel to each channel."""
    required = {"type", "weight", "stride", "padding", "dilation", "neuron"}
    layer.expect(required | ({"shape"} if layer.own else set()), {"shape", "kernelSize", "delay"})
    kernel, shape = _kernels(layer), layer.source_shape
    if kernel.shape[:2] != (1, 1) or 0 in kernel.shape:
        problem = f"weight {kernel.shape}"
        raise NetworkFileError(layer.group.where, problem, "one kernel (1, 1, kH, kW)")
    if len(shape) != 3:
        raise NetworkFileError(layer.group.where, f"a pool of {shape}", "of an image (C, H, W)")
    layer.agree("kernelSize", kernel.shape[2:])
    border = _pool_border(layer, shape, kernel.shape[2:])
    rows, columns = np.floor_divide(border, layer.pair("dilation"))
    # A row of zeros above the kernel plus a row of padding on both sides is a row appended below.
    size = (kernel.shape[2] + int(rows)) * (kernel.shape[3] + int(columns))
    limit = limits().population
    if shape[0] * size > limit:
        problem, allowed = f"{shape[0]} channels of {size} weights", f"at most {limit} together"
        raise NetworkFileError(layer.group.where, problem, allowed, remedy("population"))
    kernel = np.pad(kernel, [(0, 0), (0, 0), (rows, 0), (columns, 0)])
    return _convolution(layer, np.repeat(kernel, shape[0], axis=0), shape[0], border)


def _pool_border(layer: StockLayer, shape: Shape, kernel: tuple[int, ...]) -> tuple[int, int]:
    """Return the rows and columns of zeros that SLAYER appends to an image before pooling.

    SLAYER stacks the channels of an image vertically and pools the stack. If the windows do not
    tile a channel, they extend into the next one; such pools are refused.
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
        problem = f"a dilation of {dilation} where SLAYER appends {(rows, columns)} zeros"
        raise NetworkFileError(layer.group.at("dilation"), problem, "sides that the kernel divides")
    return rows, columns


def _convolution(
    layer: StockLayer, weight: np.ndarray, groups: int, border: tuple[int, ...] = (0, 0)
) -> list[Node]:
    padding = layer.pair("padding", 0)
    synapse = Conv(
        inputs=layer.before,
        stride=layer.pair("stride", 1),
        padding=(padding[0] + border[0], padding[1] + border[1]),
        dilation=layer.pair("dilation", 1),
        groups=groups,
        **_weights(layer, weight),
        **layer.texts(f"{layer.name}.synapse"),
    )
    return _with_neurons(layer, synapse)


def _read_dense(layer: StockLayer, *more: str) -> list[Node]:
    # A layer without neurons sums its currents; stock netx adds neurons that never fire.
    is_output = layer.last and not layer.own and not more
    required = {"type", "weight", *more} | ({"shape"} if layer.own else set())
    optional = {"shape", "inFeatures", "outFeatures", "bias", "delay"}
    layer.expect(required | (set() if is_output else {"neuron"}), optional | {"neuron"})
    weight = _matrix(layer)
    layer.agree("inFeatures", (weight.shape[1],))
    layer.agree("outFeatures", (weight.shape[0],))
    if not layer.has("neuron"):
        return [_readout(layer, weight)]
    texts = layer.texts(f"{layer.name}.synapse")
    synapse = Dense(inputs=layer.before, **_weights(layer, weight), **texts)
    return _with_neurons(layer, synapse, recurrent=bool(more))


def _matrix(layer: StockLayer) -> np.ndarray:
    """Read the weights of a dense layer, stored as a matrix, a flattened matrix or kernels."""
    weight = layer.integers("weight")
    if weight.ndim > 2 and prod(weight.shape[2:]) == 1 and not layer.own:
        weight = weight.reshape(weight.shape[:2])  # SLAYER stores kernels of one pixel and one step
    outputs = weight.shape[0] if weight.ndim else 1
    if layer.has("shape"):
        outputs = prod(layer.vector("shape"))
    elif weight.ndim == 1:
        outputs = weight.size // max(1, prod(layer.source_shape))
    if weight.ndim == 1 and outputs > 0 and weight.size % outputs == 0:
        weight = weight.reshape(outputs, -1)  # as stock netx does
    if weight.ndim != 2 or weight.shape[0] != outputs:
        declaration = f", where shape says {outputs} neurons" if layer.has("shape") else ""
        problem, allowed = f"shape {weight.shape}{declaration}", f"({outputs}, inputs)"
        raise NetworkFileError(layer.group.at("weight"), problem, allowed)
    return weight


def _readout(layer: StockLayer, weight: np.ndarray) -> Readout:
    bias = None
    if layer.has("bias"):
        bias = read_bias(layer, weight.shape[0])
        layer.notes.add(
            layer.group.where, "no neurons: the bias is added to the sums of every step"
        )
    if layer.has("delay") and read_integers(layer.group, "delay", own=False).any():
        raise NetworkFileError(
            layer.group.at("delay"),
            "delays of sums, without neurons whose spikes could be delayed",
            "none",
            "train the block with delay=False",
        )
    return Readout(name=layer.name, inputs=layer.before, bias=bias, **_weights(layer, weight))


def _read_recurrent(layer: StockLayer) -> list[Node]:
    return _read_dense(layer, "weight_rec")


def _read_average(layer: StockLayer) -> list[Node]:
    """Read a mean over groups of neurons as sums, which are integers."""
    layer.expect({"type", "shape"}, {"neuron"})
    if not layer.last or layer.own:
        raise NetworkFileError(
            layer.group.where,
            "an average in front of other layers, which would get fractions of spikes",
            "an average at the end",
            layer.without_it,
        )
    groups, neurons = prod(layer.vector("shape")), prod(layer.source_shape)
    if groups < 1 or neurons % groups:
        raise NetworkFileError(
            layer.group.at("shape"),
            f"{groups} groups of the {neurons} neurons before it",
            f"a divisor of {neurons}",
            layer.without_it,
        )
    size = neurons // groups
    text = f"an average: logits are sums over groups of {size} neurons, {size} times the mean"
    layer.notes.add(layer.group.where, text)
    return [GroupSum(name=layer.name, inputs=layer.before, groups=groups)]


def _with_neurons(
    layer: StockLayer, synapse: Conv | Dense, *, recurrent: bool = False
) -> list[Node]:
    if is_sigma_delta(layer):
        return [synapse, read_sigma_delta(layer, synapse.name, recurrent=recurrent)]
    channels = synapse.weight.shape[0]
    return [synapse, read_neurons(layer, synapse.name, channels, recurrent=recurrent)]


def _weights(layer: StockLayer, weight: np.ndarray) -> dict[str, Any]:
    """Return the weights, with an exponent if they need one to fit into eight bits."""
    if not layer.own and lava_weights(weight) is None:
        for exponent in range(1, MAX_WEIGHT_EXPONENT + 1):
            if (weight & ((1 << exponent) - 1)).any():
                break
            if lava_weights(weight >> exponent) is not None:
                return {"weight": weight >> exponent, "exponent": exponent}
    return {"weight": weight}


_READERS: dict[str, Callable[[StockLayer], list[Node]]] = {
    "flatten": _read_flatten,
    "conv": _read_conv,
    "pool": _read_pool,
    "dense": _read_dense,
    "dense_rec": _read_recurrent,
    "average": _read_average,
}
