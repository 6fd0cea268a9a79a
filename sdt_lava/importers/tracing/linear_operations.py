"""Handle linear operations on spikes: synapses, normalisations and averages."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from sdt_lava.importers.fold import BatchNorm, FloatArray
from sdt_lava.importers.tracing.axes import (
    Axis,
    has_copies,
    is_whole,
    merged,
    resized,
    roots,
    significant,
    size_of,
    whole,
)
from sdt_lava.importers.tracing.calls import Call, constant, handles
from sdt_lava.importers.tracing.linear import array
from sdt_lava.importers.tracing.reductions import over_tokens
from sdt_lava.importers.tracing.refusals import NoMeaning
from sdt_lava.importers.tracing.symbols import Events, Shape, Traced, Votes, Windows
from sdt_lava.importers.tracing.windows import image_axes, per_axis, window_output


@handles("conv1d", "conv2d", "conv3d")
def convolve(call: Call) -> Traced:
    """Convolve images, or apply a matrix to the channels of each token."""
    ndim = int(call.name[4])
    subject = call.subject
    weight, bias = call.known(1, "weight"), call.known(2, "bias", None)
    kernel = tuple(weight.shape[2:])
    stride = per_axis(call.arg(3, "stride", 1), ndim)
    dilation = per_axis(call.arg(5, "dilation", 1), ndim)
    padding = _padding(call.arg(4, "padding", 0), kernel, dilation)
    groups = int(call.arg(6, "groups", 1))
    moving = [
        axis for axis in range(ndim) if (kernel[axis], stride[axis], padding[axis]) != (1, 1, 0)
    ]
    channel = len(subject.layout) - ndim - 1
    key = call.context.key(weight), call.context.key(bias)
    if not moving and groups == 1:
        return _multiplied(call, weight.flatten(1), bias, channel, key)
    plain = subject
    if tuple(weight.shape[:2]) == (1, 1) and subject.symbol.shape[0] > 1:
        adjacent = (stride[0], padding[0]) == (kernel[0], 0)
        plain = _rows_alone(subject, channel + 1, kernel[0] if adjacent else 0)
        groups = subject.symbol.shape[0]
        weight = weight.expand(groups, *weight.shape[1:])
        bias = None if bias is None else bias.expand(groups)
    elif not is_whole(subject.layout[channel], 0, subject.symbol.shape[0]):
        raise NoMeaning("a convolution of something else than channels", "(T * B, C, H, W)")
    rows, columns = image_axes(plain, channel + 1, ndim, moving)
    pair = (rows - channel - 1, columns - channel - 1)
    windows = Windows(
        stride=_of(stride, pair),
        padding=_of(padding, pair),
        dilation=_of(dilation, pair),
        groups=groups,
    )
    image = weight.reshape(*weight.shape[:2], *_of(kernel, pair))
    return _windowed(call, subject, image, bias, windows, (channel, rows, columns), key)


def _rows_alone(subject: Traced, position: int, kernel: int) -> Traced:
    """Remove the channels from an axis of channels and rows, as in SLAYER's pools with one kernel.

    Windows stay within a channel if they are adjacent and cover the rows.
    """
    channels, height = subject.symbol.shape[:2]
    if kernel and height % kernel == 0:
        joint = merged(whole(0, channels) + whole(1, height))
        if merged(subject.layout[position]) == joint:
            layout = list(subject.layout)
            layout[position] = whole(1, height)
            return replace(subject, layout=tuple(layout))
    return subject


def _windowed(
    call: Call,
    subject: Traced,
    weight: Any,
    bias: Any,
    windows: Windows,
    positions: tuple[int, int, int],
    key: Any,
) -> Traced:
    """Return a convolution of an image with channels, rows and columns at given positions."""
    sides = [
        window_output(*move)
        for move in zip(
            subject.symbol.shape[1:], weight.shape[2:], windows.stride, windows.padding,
            windows.dilation, strict=True,
        )
    ]  # fmt: skip
    shape = (int(weight.shape[0]), *sides)
    origin = call.origin("conv")
    offset = None if bias is None else subject.share * _vector(bias)
    symbol = call.context.once(
        ("conv", id(subject.symbol), key, windows, subject.share),
        lambda: call.builder.linear(subject.symbol, weight, offset, windows, shape, origin),
    )
    layout = resized(subject.layout, shape, positions)
    return replace(subject, symbol=symbol, layout=layout)


@handles("linear")
def linear(call: Call) -> Traced:
    """Apply a matrix to the last axis."""
    position = len(call.subject.layout) - 1
    weight, bias = call.known(1, "weight"), call.known(2, "bias", None)
    key = call.context.key(weight), call.context.key(bias)
    return _multiplied(call, weight, bias, position, key)


def _multiplied(call: Call, weight: Any, bias: Any, position: int, key: Any) -> Traced:
    subject = call.subject
    symbol, axis = subject.symbol, subject.layout[position]
    share = subject.share
    bias = None if bias is None else share * _vector(bias)
    # With a single token, rows and columns show whether the whole signal was flattened.
    is_flat = len(symbol.shape) < 3 or roots([axis]) >= {"1", "2"}
    out = int(weight.shape[0])
    if is_whole(axis, 0, symbol.shape[0]) and not (is_flat and prod(symbol.shape[1:]) == 1):
        shape: Shape = (out, *symbol.shape[1:])
        windows: Windows | None = Windows()
        matrix = weight.reshape(out, -1, 1, 1)
    else:
        shape, windows, matrix = (out,), None, _ordered(weight, axis, symbol.shape)
    product = call.context.once(
        ("linear", id(symbol), key, axis, share),
        lambda: call.builder.linear(
            symbol, matrix, bias, windows, shape, call.origin("conv" if windows else "linear")
        ),
    )
    axes = list(subject.layout)
    axes[position] = whole(0, out)
    return replace(subject, symbol=product, layout=tuple(axes))


def _ordered(weight: Any, axis: Axis, shape: Shape) -> Any:
    """Permute the columns of a matrix from the order of an axis to C order of the signal."""
    size = int(np.prod(shape))
    if has_copies(axis):
        raise NoMeaning("a linear layer over copies of a signal", "over the signal")
    index = np.zeros((), np.int64)
    for factor in significant(axis):
        if not factor.root.isdigit():
            raise NoMeaning("a linear layer over time or over the batch", "over channels")
        step = factor.stride * int(np.prod(shape[int(factor.root) + 1 :]))
        index = index[..., None] + np.arange(factor.size) * step
    order = index.reshape(-1)
    if not np.array_equal(np.sort(order), np.arange(size)):
        raise NoMeaning(
            "a linear layer over a part of the channels or over tokens",
            "over the channels, or over all of a signal",
        )
    return weight if np.array_equal(order, np.arange(size)) else weight[:, np.argsort(order)]


@handles("batch_norm")
def normalise(call: Call) -> Traced:
    """Fold batch normalisation into the preceding weights."""
    subject = call.subject
    mean, variance = call.known(1, "running_mean"), call.known(2, "running_var")
    if mean is None or variance is None or call.arg(5, "training", False):
        raise NoMeaning(
            "a normalisation by the statistics of a batch", "running statistics, as in evaluation"
        )
    channels = subject.symbol.shape[0]
    _check_channels(subject, 1)
    weight, bias = call.known(3, "weight", None), call.known(4, "bias", None)
    norm = BatchNorm(
        gamma=np.ones(channels) if weight is None else array(weight),
        beta=np.zeros(channels) if bias is None else array(bias),
        mean=array(mean),
        variance=array(variance),
        epsilon=float(call.arg(7, "eps", 1e-5)),
    )
    origin = call.origin("norm", uses=(weight, bias))
    key = [call.context.key(tensor) for tensor in (mean, variance, weight, bias)]
    offset = subject.share * norm.offset
    symbol = call.context.once(
        ("norm", id(subject.symbol), *key, norm.epsilon, subject.share),
        lambda: call.builder.rescaled(subject.symbol, norm.gain, offset, origin),
    )
    return replace(subject, symbol=symbol)


def _check_channels(subject: Traced, position: int) -> None:
    channels = subject.symbol.shape[0]
    if len(subject.layout) <= position or not is_whole(subject.layout[position], 0, channels):
        raise NoMeaning("a normalisation of something else than channels", "(T * B, C, ...)")


@handles("avg_pool1d", "avg_pool2d", "avg_pool3d")
def average_windows(call: Call) -> Traced:
    """Average over windows, or over the neurons of each class."""
    ndim, subject = int(call.name[8]), call.subject
    kernel = per_axis(call.arg(1, "kernel_size"), ndim)
    stride = per_axis(call.arg(2, "stride", None) or kernel, ndim)
    padding = per_axis(call.arg(3, "padding", 0), ndim)
    if call.arg(4, "ceil_mode", False):
        raise NoMeaning("ceil_mode = True", "False")
    if any(padding) and not call.arg(5, "count_include_pad", True):
        raise NoMeaning("count_include_pad = False", "True, or no padding")
    divisor = call.arg(6, "divisor_override", None) or int(np.prod(kernel))
    if ndim == 1 and len(subject.symbol.shape) == 1:
        return _votes(call, subject, kernel, stride, padding)
    return _averaged(call, subject, ndim, (kernel, stride, padding), 1 / divisor)


def _averaged(
    call: Call, subject: Traced, ndim: int, moves: tuple[tuple[int, ...], ...], share: float
) -> Traced:
    kernel, stride, padding = moves
    first = len(subject.layout) - ndim
    moving = [axis for axis in range(ndim) if (kernel[axis], stride[axis]) != (1, 1)]
    rows, columns = image_axes(subject, first, ndim, moving)
    pair = (rows - first, columns - first)
    channels, *sides = subject.symbol.shape
    covers_all = list(_of(kernel, pair)) == sides and not any(padding)
    # For currents, this is a mean over tokens; for spikes, the result is an image with one token.
    if covers_all and not isinstance(subject.symbol, Events):
        gain = share * float(np.prod(sides))
        return over_tokens(call, subject, (rows, columns), gain, keeps_axes=True)
    windows = Windows(_of(stride, pair), _of(padding, pair), groups=channels)
    weight = np.full((channels, 1, *_of(kernel, pair)), share)
    channel = _channel_axis(subject)
    key = ("mean", weight.shape, share)
    return _windowed(call, subject, weight, None, windows, (channel, rows, columns), key)


def _channel_axis(subject: Traced) -> int:
    channels = subject.symbol.shape[0]
    for position, axis in enumerate(subject.layout):
        if "0" in roots([axis]) and is_whole(axis, 0, channels):
            return position
    if channels == 1:
        return 0
    raise NoMeaning("a pool of images whose channels are split", "(T * B, C, H, W)")


def _votes(call: Call, subject: Traced, kernel: Any, stride: Any, padding: Any) -> Traced:
    symbol, axis = subject.symbol, subject.layout[-1]
    neurons = symbol.shape[0]
    is_plain = isinstance(symbol, Events) and symbol.is_binary and is_whole(axis, 0, neurons)
    if not is_plain or kernel != stride or any(padding) or neurons % kernel[0]:
        raise NoMeaning("a mean over channels", "of spikes, in groups without a rest")
    assert isinstance(symbol, Events)
    groups = neurons // kernel[0]
    votes = call.context.once(
        ("votes", id(symbol), groups), lambda: Votes((groups,), symbol, call.origin("votes"))
    )
    return replace(subject, symbol=votes, layout=(*subject.layout[:-1], whole(0, groups)))


@handles("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def average_to_size(call: Call) -> Traced:
    """Average over windows whose size results from the output shape."""
    ndim, subject = int(call.name[17]), call.subject
    targets = per_axis(call.arg(1, "output_size"), ndim)
    sides = [size_of(axis) for axis in subject.layout[-ndim:]]
    targets = tuple(side if out is None else out for out, side in zip(targets, sides, strict=True))
    if any(side % out for side, out in zip(sides, targets, strict=True)):
        raise NoMeaning(
            f"windows of different sizes, from {sides} to {list(targets)}", "equal ones"
        )
    if ndim == 1 and targets == (1,):
        return over_tokens(call, subject, (len(subject.layout) - 1,), 1.0, keeps_axes=True)
    kernel = tuple(side // out for side, out in zip(sides, targets, strict=True))
    return _averaged(call, subject, ndim, (kernel, kernel, (0,) * ndim), 1 / float(np.prod(kernel)))


def _of(values: tuple[int, ...], pair: tuple[int, int]) -> tuple[int, int]:
    return values[pair[0]], values[pair[1]]


def _vector(bias: Any) -> FloatArray:
    return np.asarray(constant(bias).numpy(), np.float64)


def _padding(given: Any, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    if given == "same":
        reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        if any(length % 2 for length in reach):
            raise NoMeaning("padding = 'same' with an even kernel", "the same on both sides")
        return tuple(length // 2 for length in reach)
    return per_axis(0 if given == "valid" else given, len(kernel))
