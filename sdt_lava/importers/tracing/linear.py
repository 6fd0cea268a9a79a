"""Fold normalisations, factors and linear operations into the preceding weights."""

from __future__ import annotations

from dataclasses import replace
from math import gcd
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from sdt_lava.importers.fold import FloatArray
from sdt_lava.importers.tracing.refusals import NoMeaning
from sdt_lava.importers.tracing.symbols import Affine, Events, Origin, Shape, Windows


def array(values: Any) -> FloatArray:
    """Return the values of a tensor in float64."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().double().numpy()
    return np.asarray(values, np.float64)


def weight_of(affine: Affine) -> FloatArray:
    """Return the weights for the signal of the source's node."""
    weight = array(affine.weight)
    if affine.gain is not None:
        weight = weight * _column(affine.gain, weight.ndim)
    return weight if affine.source.gain == 1 else weight * affine.source.gain


def _column(values: FloatArray, ndim: int) -> FloatArray:
    return values.reshape(-1, *(1,) * (ndim - 1))


def scaled(affine: Affine, gain: FloatArray, offset: FloatArray | None = None) -> Affine:
    """Return ``gain * affine + offset`` with one gain and offset per output channel."""
    bias = offset
    if affine.bias is not None:
        bias = gain * affine.bias if offset is None else offset + gain * affine.bias
    return replace(affine, gain=gain if affine.gain is None else gain * affine.gain, bias=bias)


def identity(source: Events, origin: Origin) -> Affine:
    """Return events as currents, with a weight of 1 each."""
    channels = source.shape[0]
    if len(source.shape) == 1:
        return Affine(source.shape, source, np.eye(channels), None, origin)
    if len(source.shape) == 3:
        weight = np.ones((channels, 1, 1, 1))
        return Affine(source.shape, source, weight, Windows(groups=channels), origin)
    raise NoMeaning(f"neurons of shape {source.shape}", "(C, H, W) or (C,)")


def mean_over_tokens(source: Events, origin: Origin, gain: float) -> Affine:
    """Return the mean of events over an image, times a gain, as a convolution."""
    channels, *sides = source.shape
    weight = np.full((channels, 1, *sides), gain / float(np.prod(sides)))
    return Affine((channels, 1, 1), source, weight, Windows(groups=channels), origin)


def joined(
    first: Affine, weight: Any, windows: Windows | None, shape: Shape, origin: Origin
) -> Affine:
    """Combine a linear operation and a preceding one into a single one."""
    origin = replace(origin, parameters=origin.parameters | first.origin.parameters)
    if windows is None:
        return _dense_after(first, array(weight), shape, origin)
    if first.windows is None:
        raise NoMeaning("a convolution after a linear layer, without neurons between them")
    return _convolution_after(first, array(weight), windows, shape, origin)


def _dense_after(first: Affine, weight: FloatArray, shape: Shape, origin: Origin) -> Affine:
    source = replace(first.source, gain=1.0)
    bias = None
    if first.bias is not None:
        positions = int(np.prod(first.shape[1:]))
        bias = weight @ np.repeat(first.bias, positions)
    if first.windows is None:
        total = weight @ weight_of(first)
    else:
        total = _adjoint(weight.reshape(-1, *first.shape), first)
    return Affine(shape, source, total, None, origin, bias=bias)


def _adjoint(rows: FloatArray, first: Affine) -> FloatArray:
    """Convert weights of a convolution's output to weights of its input, ``(O, I)``."""
    windows = first.windows
    assert windows is not None
    kernel = weight_of(first)
    sides = first.source.shape[1:]
    rest = tuple(
        side + 2 * pad - dilation * (length - 1) - 1 - stride * (out - 1)
        for side, pad, dilation, length, stride, out in zip(
            sides, windows.padding, windows.dilation, kernel.shape[2:], windows.stride,
            first.shape[1:], strict=True,
        )
    )  # fmt: skip
    # Rows and columns outside all windows get weights of 0; output_padding of torch is too limited.
    total = functional.conv_transpose2d(
        torch.from_numpy(rows), torch.from_numpy(kernel), None, windows.stride, 0,
        0, windows.groups, windows.dilation,
    )  # fmt: skip
    total = functional.pad(total, (0, rest[1], 0, rest[0]))
    (top, left), (height, width) = windows.padding, sides
    return total[:, :, top : top + height, left : left + width].flatten(1).numpy()


def _convolution_after(
    first: Affine, weight: FloatArray, windows: Windows, shape: Shape, origin: Origin
) -> Affine:
    before = first.windows
    assert before is not None
    _check_borders(first, before, windows)
    full = _without_groups(weight, windows.groups)
    one, other = _spread(weight_of(first), before.dilation), _spread(full, windows.dilation)
    total = functional.conv_transpose2d(
        torch.from_numpy(other), torch.from_numpy(one), stride=before.stride, groups=before.groups
    ).numpy()
    groups = gcd(before.groups, windows.groups)
    pairs = list(zip(before.stride, windows.stride, before.padding, windows.padding, strict=True))
    combined = Windows(
        stride=_pair(s * t for s, t, _, _ in pairs),
        padding=_pair(p + s * q for s, _, p, q in pairs),
        groups=groups,
    )
    bias = None if first.bias is None else full.sum((2, 3)) @ first.bias
    source = replace(first.source, gain=1.0)
    return Affine(shape, source, _grouped(total, groups), combined, origin, bias=bias)


def _check_borders(first: Affine, before: Windows, windows: Windows) -> None:
    """Check that the padding between two convolutions is equivalent to zeros."""
    if not any(windows.padding):
        return
    if first.bias is not None:
        raise NoMeaning(
            "padding around currents with a bias, without neurons between two operations",
            remedy="put neurons between them, or the bias after the second one",
        )
    kernel, sides = array(first.weight).shape[2:], first.source.shape[1:]
    for axis in range(2):
        reach = before.dilation[axis] * (kernel[axis] - 1)
        stride, pad = before.stride[axis], before.padding[axis]
        inside = first.shape[1 + axis] * stride - pad >= sides[axis]
        if windows.padding[axis] and not (reach < stride + pad and inside):
            raise NoMeaning(
                "padding around averages of windows that overlap or leave a border out",
                "windows next to one another that cover the image",
            )


def _pair(values: Any) -> tuple[int, int]:
    first, second = values
    return int(first), int(second)


def _without_groups(weight: FloatArray, groups: int) -> FloatArray:
    if groups == 1:
        return weight
    out, per_group = weight.shape[:2]
    full = np.zeros((out, per_group * groups, *weight.shape[2:]))
    for group in range(groups):
        rows = slice(group * out // groups, (group + 1) * out // groups)
        full[rows, group * per_group : (group + 1) * per_group] = weight[rows]
    return full


def _grouped(weight: FloatArray, groups: int) -> FloatArray:
    out, channels = weight.shape[:2]
    per_group = channels // groups
    blocks = [
        weight[group * out // groups : (group + 1) * out // groups][
            :, group * per_group : (group + 1) * per_group
        ]
        for group in range(groups)
    ]
    return np.concatenate(blocks)


def _spread(kernel: FloatArray, dilation: tuple[int, int]) -> FloatArray:
    """Fill the gaps of a dilated kernel with zeros."""
    if dilation == (1, 1):
        return kernel
    height, width = (d * (k - 1) + 1 for d, k in zip(dilation, kernel.shape[2:], strict=True))
    spread = np.zeros((*kernel.shape[:2], height, width))
    spread[:, :, :: dilation[0], :: dilation[1]] = kernel
    return spread
