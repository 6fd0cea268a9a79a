"""Convert NIR layers without neurons to linear operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import nir
import numpy as np

from sdt_lava.errors import NirError
from sdt_lava.importers.nir.operators import Convolution, Matrix, Operator, Pair, Reshape, Scaling
from sdt_lava.io.nir.values import FloatArray, by_output, numbers, pair
from sdt_lava.ir import Shape


def layer_operator(node: Any, name: str, shape: Shape) -> Operator:
    """Convert a layer to an operator on signals of one shape.

    Raises
    ------
    NirError
        If parameters or shape do not fit.
    """
    if type(node) not in LAYERS:
        kind = type(node).__name__
        raise NirError(
            f"{name} ({kind})", "a sum over time that others read at every step",
            f"{kind} that only the Output reads, after the last step", "take neurons that fire",
        )  # fmt: skip
    return LAYERS[type(node)](node, name, shape)


def axes_wanted(node: Any) -> int | None:
    """Return the number of axes of a node's input without a batch; None if it may be any."""
    if isinstance(node, (nir.Linear, nir.Affine)):
        return 1
    if isinstance(node, nir.Conv1d):
        return 2
    if isinstance(node, (nir.Conv2d, nir.SumPool2d, nir.AvgPool2d)):
        return 3
    for field in ("v_threshold", "scale", "delay", "threshold", "tau", "r", "tau_mem"):
        values = getattr(node, field, None)
        if values is not None and np.ndim(values) and np.size(values) > 1:
            return int(np.ndim(values))
    return None


def _linear(node: Any, name: str, shape: Shape) -> Matrix:
    weight = numbers(node.weight, f"{name}: weight")
    # Remove the axis of a batch of one matrix.
    while weight.ndim > 2 and weight.shape[0] == 1:
        weight = weight[0]
    if weight.ndim != 2:
        raise NirError(f"{name}: weight", f"shape {weight.shape}", "(outputs, inputs)")
    if int(np.prod(shape)) != weight.shape[1]:
        raise NirError(
            name, f"weights {weight.shape} on an input of shape {shape}",
            f"a vector of {weight.shape[1]} values, all axes flattened into one",
        )  # fmt: skip
    bias = by_output(node.bias, len(weight), f"{name}: bias") if hasattr(node, "bias") else None
    return Matrix(name, shape, weight, bias)


def _scale(node: nir.Scale, name: str, shape: Shape) -> Scaling:
    factor = numbers(node.scale, f"{name}: scale")
    return Scaling(name, shape, fitted(factor, shape, f"{name}: scale"))


def fitted(values: FloatArray, shape: Shape, where: str) -> FloatArray:
    """Reshape parameters to broadcast over a population.

    There may be one value for all neurons, one for each neuron (with leading axes of length 1), or
    one for each channel of an image.

    Raises
    ------
    NirError
        If the shape is different, or ambiguous between channels and columns.
    """
    if values.size == 1:
        return values.reshape(())
    sides = values.shape
    while len(sides) > len(shape) and sides[0] == 1:
        sides = sides[1:]
    values = values.reshape(sides)
    if not np.ptp(values) and values.size in (int(np.prod(shape)), shape[0]):
        return values.reshape(-1)[0].reshape(())
    if sides == shape:
        return values
    if len(sides) == len(shape) and all(a in (1, b) for a, b in zip(sides, shape, strict=True)):
        return values
    if sides == (int(np.prod(shape)),):
        return values.reshape(shape)
    if len(shape) > 1 and sides == shape[:1] and shape[0] != shape[-1]:
        return values.reshape(-1, *(1,) * (len(shape) - 1))
    allowed = f"{shape}, as the neurons, or one value"
    raise NirError(where, f"shape {values.shape}", allowed)


def _conv1d(node: nir.Conv1d, name: str, shape: Shape) -> Convolution:
    weight = numbers(node.weight, f"{name}: weight")
    if weight.ndim != 3:
        raise NirError(f"{name}: weight", f"shape {weight.shape}", "(O, C/groups, k)")
    stride, dilation = (
        (1, _one(getattr(node, key), f"{name}: {key}")) for key in ("stride", "dilation")
    )
    weight = weight[:, :, None]
    weight, padding, dilation = _padded(node.padding, weight, stride, dilation, f"{name}: padding")
    padding = (0, padding[1])
    return _convolution(node, name, shape, weight, (stride, padding, dilation))


def _one(values: Any, where: str) -> int:
    array = numbers(values, where)
    if array.size != 1:
        raise NirError(where, f"{array.size} numbers", "one")
    return pair(values, where, 1)[0]


def _conv2d(node: nir.Conv2d, name: str, shape: Shape) -> Convolution:
    weight = numbers(node.weight, f"{name}: weight")
    if weight.ndim != 4:
        raise NirError(f"{name}: weight", f"shape {weight.shape}", "(O, C/groups, kH, kW)")
    stride, dilation = (
        pair(getattr(node, key), f"{name}: {key}", 1) for key in ("stride", "dilation")
    )
    weight, padding, dilation = _padded(node.padding, weight, stride, dilation, f"{name}: padding")
    return _convolution(node, name, shape, weight, (stride, padding, dilation))


def _convolution(
    node: Any, name: str, shape: Shape, weight: FloatArray, windows: tuple[Pair, Pair, Pair]
) -> Convolution:
    groups = pair(node.groups, f"{name}: groups", 1)[0]
    axes = 2 if isinstance(node, nir.Conv1d) else 3
    out, per_group = weight.shape[:2]
    if len(shape) != axes or per_group * groups != shape[0] or out % groups:
        raise NirError(
            name,
            f"weights {np.shape(node.weight)} in {groups} groups on an input of shape {shape}",
            f"{axes} axes, C/groups weights per output and outputs divisible by groups",
        )  # fmt: skip
    bias = None if node.bias is None else by_output(node.bias, out, f"{name}: bias")
    return _checked(Convolution(name, shape, weight, bias, *windows, groups))


def _checked(layer: Convolution) -> Convolution:
    if min(layer.sides) < 1:
        raise NirError(
            layer.name, f"no output on an input of shape {layer.before}", "a larger input"
        )
    return layer


def _padded(
    values: Any, weight: FloatArray, stride: Pair, dilation: Pair, where: str
) -> tuple[FloatArray, Pair, Pair]:
    """Replace padding given as a word by numbers; return weights, padding and dilation."""
    if not isinstance(values, (str, bytes)):
        return weight, pair(values, where, 0), dilation
    text = values.decode(errors="replace") if isinstance(values, bytes) else values
    if text == "valid":
        return weight, (0, 0), dilation
    if text == "same" and stride == (1, 1):
        return _same(weight, dilation)
    found = f"'same' with a stride of {stride}" if text == "same" else repr(text)
    allowed = "numbers, 'valid', or 'same' for a stride of 1"
    raise NirError(where, found, allowed, "write the padding as numbers")


def _same(weight: FloatArray, dilation: Pair) -> tuple[FloatArray, Pair, Pair]:
    """Return 'same' padding as equal padding on both sides.

    If the total padding is odd, PyTorch adds the extra zero at the end. A weight of 0 before the
    kernel makes both sides equal.
    """
    paddings, steps = list(dilation), list(dilation)
    for axis, step in enumerate(dilation):
        zeros = step * (weight.shape[2 + axis] - 1)
        if zeros % 2:
            shape = [*weight.shape]
            shape[2 + axis] = zeros + 2
            spread = np.zeros(shape)
            # The distance of all taps except the new one is the dilation.
            spread[(slice(None),) * (2 + axis) + (slice(1, None, step),)] = weight
            weight, steps[axis] = spread, 1
        paddings[axis] = (zeros + 1) // 2
    return weight, (paddings[0], paddings[1]), (steps[0], steps[1])


def _pool(node: Any, name: str, shape: Shape) -> Convolution:
    if len(shape) != 3:
        raise NirError(name, f"a pool on an input of shape {shape}", "(C, H, W)")
    kernel = pair(node.kernel_size, f"{name}: kernel_size", 1)
    # As in PyTorch, windows are adjacent by default.
    stride = kernel if _nothing(node.stride) else pair(node.stride, f"{name}: stride", 1)
    padding = (0, 0) if _nothing(node.padding) else pair(node.padding, f"{name}: padding", 0)
    # Means in PyTorch include the zeros of the border.
    factor = 1.0 / (kernel[0] * kernel[1]) if isinstance(node, nir.AvgPool2d) else 1.0
    weight = np.full((shape[0], 1, *kernel), factor)
    return _checked(Convolution(name, shape, weight, None, stride, padding, groups=shape[0]))


def _nothing(values: Any) -> bool:
    return values is None or (isinstance(values, np.ndarray) and values.size == 0)


def _flatten(node: nir.Flatten, name: str, shape: Shape) -> Reshape:
    axes = len(shape)
    input_shape = node.input_type.get("input") if isinstance(node.input_type, dict) else None
    start, end = (pair(getattr(node, key), f"{name}: {key}")[0] for key in ("start_dim", "end_dim"))
    # The dimensions also count a batch axis, which was removed from the Input.
    shift = max(np.size(input_shape) - axes, 0) if input_shape is not None else 0
    if shift and int(np.asarray(input_shape).reshape(-1)[0]) == 1:
        start, end = (value - shift if value > 0 else value for value in (start, end))
    start, end = (value + axes if value < 0 else value for value in (start, end))
    end = min(end, axes - 1)
    if not 0 <= start < axes and axes > 1:
        raise NirError(f"{name}: start_dim", f"{node.start_dim} of {axes} axes", f"0 to {axes - 1}")
    if start >= end:
        return Reshape(name, shape, shape)
    joined = int(np.prod(shape[start : end + 1]))
    return Reshape(name, shape, (*shape[:start], joined, *shape[end + 1 :]))


def _passage(node: Any, name: str, shape: Shape) -> Reshape:
    return Reshape(name, shape, shape)


LAYERS: Mapping[type, Callable[[Any, str, Shape], Operator]] = {
    nir.Linear: _linear,
    nir.Affine: _linear,
    nir.Scale: _scale,
    nir.Conv1d: _conv1d,
    nir.Conv2d: _conv2d,
    nir.SumPool2d: _pool,
    nir.AvgPool2d: _pool,
    nir.Flatten: _flatten,
    # Inputs and outputs of nested graphs.
    nir.Input: _passage,
    nir.Output: _passage,
}
