"""Handle maxima and products of spikes, and sums of currents."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from sdt_lava.importers.tracing.axes import (
    TIME,
    Factor,
    Layout,
    aligned,
    is_whole,
    merged,
    roots,
    whole,
)
from sdt_lava.importers.tracing.builder import described
from sdt_lava.importers.tracing.calls import Call, constant, handles
from sdt_lava.importers.tracing.refusals import NoMeaning
from sdt_lava.importers.tracing.symbols import (
    Events,
    Highest,
    Origin,
    Steps,
    Symbol,
    Total,
    Traced,
)
from sdt_lava.importers.tracing.windows import image_axes, per_axis, window_output
from sdt_lava.ir import And, OrPool, TokenDilate


@handles("max_pool1d", "max_pool2d", "max_pool3d")
def highest(call: Call) -> Traced:
    """Compute the OR of spikes or the maximum of currents in windows."""
    ndim, subject = int(call.name[8]), call.subject
    if subject.is_sum:
        raise NoMeaning("a maximum of sums over time", "of spikes or currents of each step")
    kernel = per_axis(call.arg(1, "kernel_size"), ndim)
    stride = per_axis(call.arg(2, "stride", None) or kernel, ndim)
    padding = per_axis(call.arg(3, "padding", 0), ndim)
    dilation = per_axis(call.arg(4, "dilation", 1), ndim)
    moving = [axis for axis in range(ndim) if (kernel[axis], stride[axis]) != (1, 1)]
    if any(dilation[axis] != 1 for axis in moving):
        raise NoMeaning(f"a maximum with dilation {dilation}", "1")
    if not moving:
        return subject
    first = len(subject.layout) - ndim
    moves = [(kernel[axis], stride[axis], padding[axis]) for axis in moving]
    heads = _heads(subject, [first + axis for axis in moving])
    if heads is not None and set(moves) == {(3, 1, 1)}:
        return _dilated_tokens(call, subject, heads)
    rows, columns = image_axes(subject, first, ndim, moving)
    window = (kernel[rows - first], stride[rows - first], padding[rows - first])
    if window != (kernel[columns - first], stride[columns - first], padding[columns - first]):
        raise NoMeaning("a maximum over windows that are not square", "square windows")
    return _pooled(call, subject, window, (rows, columns))


def _pooled(
    call: Call, subject: Traced, window: tuple[int, int, int], positions: tuple[int, int]
) -> Traced:
    symbol = subject.symbol
    sides = [window_output(side, *window) for side in symbol.shape[1:]]
    if tuple(call.result.shape[position] for position in positions) != tuple(sides):
        raise NoMeaning("ceil_mode = True where it makes another window", "False")
    shape = (symbol.shape[0], *sides)
    if isinstance(symbol, Events):
        pooled: Symbol = call.context.once(
            ("or", id(symbol), window), lambda: _or_pool(call, symbol, window, shape)
        )
    else:
        pooled = call.context.once(
            ("highest", id(symbol), window),
            lambda: Highest(shape, symbol, window, call.origin("max_pool")),
        )
    axes = list(subject.layout)
    for root, position in zip((1, 2), positions, strict=True):
        axes[position] = whole(root, shape[root])
    return replace(subject, symbol=pooled, layout=tuple(axes))


def _or_pool(
    call: Call, symbol: Events, window: tuple[int, int, int], shape: tuple[int, ...]
) -> Events:
    if not symbol.is_binary or symbol.gain < 0:
        raise NoMeaning("a maximum of the network's input", "of spikes or currents")
    fields = dict(zip(("kernel", "stride", "padding"), window, strict=True))
    origin = call.origin("or_pool")
    if window[1] == 1:
        # A dilation belongs to the signal that it dilates, whatever module computes it.
        origin = _of_source(call, symbol, "_dilate")
    node = call.builder.add(OrPool, origin, (symbol.node,), **fields)
    return Events(shape, node, True, symbol.gain)


def _heads(subject: Traced, moving: list[int]) -> int | None:
    """Return the number of heads if windows move over all tokens and the channels of a head."""
    shape = subject.symbol.shape
    if len(shape) != 3 or len(moving) != 2:
        return None
    # Separate axes are rows and columns, which is the only distinction with a single token.
    if all(roots([subject.layout[at]]) <= {root} for at, root in zip(moving, "12", strict=True)):
        return None
    tokens = merged((*whole(1, shape[1]), *whole(2, shape[2])))
    axes = [merged(subject.layout[position]) for position in moving]
    if tokens not in axes:
        return None
    channels = axes[1 - axes.index(tokens)]
    last = Factor("0", 1, channels[0].size) if channels else None
    # The channels of heads of one channel have no factor.
    if channels != (() if last is None else (last,)):
        return None
    return shape[0] // (last.size if last else 1)


def _dilated_tokens(call: Call, subject: Traced, heads: int) -> Traced:
    symbol = subject.symbol
    if not isinstance(symbol, Events) or not symbol.is_binary:
        raise NoMeaning(f"a maximum of {described(symbol)} over tokens", "of spikes")

    def make() -> Events:
        origin = _of_source(call, symbol, "_dilate")
        node = call.builder.add(TokenDilate, origin, (symbol.node,), heads=heads)
        return replace(symbol, node=node)

    return replace(subject, symbol=call.context.once(("dilate", id(symbol), heads), make))


def _of_source(call: Call, symbol: Events, ending: str) -> Origin:
    node = call.builder.nodes[symbol.node]
    name = node.name.removesuffix("_lif") + ending
    return Origin(call.origin("dilate").module, name, node.block)


@handles("mul", "multiply", "imul", "rmul", "div", "divide", "true_divide", "truediv", "itruediv",
         "logical_and", "bitwise_and", "and", "iand")  # fmt: skip
def multiply(call: Call) -> Traced:
    """Mask spikes with spikes, or multiply by constants."""
    if call.kwargs.get("rounding_mode") is not None:
        raise NoMeaning("a quotient that is rounded")
    first, second = call.arg(0, "input"), call.arg(1, "other")
    one, other = call.traced(first), call.traced(second)
    if one is not None and other is not None:
        if "div" in call.name:
            raise NoMeaning("a quotient of two signals")
        return _masked(call, one, other)
    if "and" in call.name or (one is None and "div" in call.name):
        raise NoMeaning(f"{call.name} of a signal and a constant")
    subject, factor = (one, second) if one is not None else (other, first)
    assert subject is not None
    values = constant(factor)
    return _scaled(call, subject, 1 / values if "div" in call.name else values)


def _scaled(call: Call, subject: Traced, values: torch.Tensor) -> Traced:
    gain = _per_channel(call, subject, values)
    if gain is None or not np.isfinite(gain).all() or not gain.all():
        raise NoMeaning("factors that are not one for all or one for each channel, and not 0")
    time = subject.time
    if time is not None and len(time.present) > 1 and (gain == gain[0]).all() and gain[0] > 0:
        return replace(subject, time=replace(time, gain=time.gain * float(gain[0])))
    if (gain == 1).all():
        return subject
    symbol = call.context.once(
        ("scaled", id(subject.symbol), gain.tobytes()),
        lambda: call.builder.rescaled(subject.symbol, gain, None, call.origin("scale")),
    )
    return replace(subject, symbol=symbol)


def _per_channel(call: Call, subject: Traced, values: torch.Tensor) -> Any:
    """Return the values of a tensor by channel; None if they vary within a channel."""
    channels = subject.symbol.shape[0]
    if values.numel() == 1:
        return np.full(channels, values.item())
    if values.ndim > len(subject.layout):
        return None
    shape = (1,) * (len(subject.layout) - values.ndim) + tuple(values.shape)
    varying = [position for position, length in enumerate(shape) if length > 1]
    if len(varying) != 1 or not is_whole(subject.layout[varying[0]], 0, channels):
        return None
    return values.reshape(-1).numpy()


def _masked(call: Call, one: Traced, other: Traced) -> Traced:
    for traced in (one, other):
        if not isinstance(traced.symbol, Events) or not traced.symbol.is_binary:
            raise NoMeaning(f"a product with {described(traced.symbol)}", "spikes times spikes")
        if traced.is_sum:
            raise NoMeaning("a product with a sum over time", "spikes times spikes of one step")
    if one.symbol is other.symbol and one.layout == other.layout:
        return one
    layout = _joint_layout(one, other, "a product")
    first, second = one.symbol, other.symbol
    if len(first.shape) < len(second.shape):
        first, second = second, first
    assert isinstance(first, Events) and isinstance(second, Events)

    def make() -> Events:
        name = "mask" if first.shape != second.shape else _product(first.node, second.node)
        node = call.builder.add(And, call.origin(name), (first.node, second.node))
        return Events(first.shape, node, True, first.gain * second.gain)

    symbol = call.context.once(("and", first.node, second.node, first.gain, second.gain), make)
    return Traced(symbol, layout, _joint_time(one, other))


def _product(first: str, second: str) -> str:
    """Return a name for a product of spikes; for k_lif and v_lif it is kv."""
    stems = []
    for node in (first, second):
        stem = node.rpartition(".")[2]
        for ending in ("_dilate", "_lif"):
            stem = stem.removesuffix(ending)
        stems.append(stem)
    return "".join(stems) if all(len(stem) == 1 for stem in stems) else "and"


def _joint_layout(one: Traced, other: Traced, what: str) -> Layout:
    layout = aligned(one.layout, other.layout)
    if layout is None:
        raise NoMeaning(f"{what} of signals whose axes are in different order")
    return layout


def _joint_time(one: Traced, other: Traced) -> Steps | None:
    """Return the time steps of an element-wise result."""
    times = [traced.time for traced in (one, other)]
    if None in times:
        other_has_axis = any(
            traced.time is None and TIME in roots(traced.layout) for traced in (one, other)
        )
        if other_has_axis and any(time is not None for time in times):
            raise NoMeaning("one time step together with all of them")
        if one.is_sum or other.is_sum:
            raise NoMeaning("a sum over time together with what is the same at every step")
        return times[0] or times[1]
    if times[0] != times[1]:
        raise NoMeaning("different time steps together", "a sum of one signal over its steps")
    return times[0]


@handles("add", "iadd", "radd", "sub", "subtract", "isub", "rsub", "neg", "negative")
def add(call: Call) -> Traced:
    """Add currents, time steps of one signal, or a bias for each channel."""
    if call.name.startswith("neg"):
        return _scaled(call, call.subject, torch.tensor(-1.0))
    first, second = call.arg(0, "input"), call.arg(1, "other")
    one, other = call.traced(first), call.traced(second)
    alpha = float(call.arg(2, "alpha", 1))
    signs = [1.0, -alpha if "sub" in call.name else alpha]
    if call.name == "rsub":
        signs.reverse()
    if one is not None and other is not None:
        return _sum(call, one, other, signs)
    subject, offset, factor, offset_factor = (
        (one, second, *signs) if one is not None else (other, first, *reversed(signs))
    )
    assert subject is not None
    signed = subject if factor == 1 else _scaled(call, subject, torch.tensor(factor))
    return _shifted(call, signed, constant(offset) * offset_factor * subject.share)


def _shifted(call: Call, subject: Traced, offset: torch.Tensor) -> Traced:
    if not offset.any():
        return subject
    values = _per_channel(call, subject, offset)
    if values is None:
        raise NoMeaning(
            "an offset that differs by more than the channel", "a bias for each channel"
        )
    ones = np.ones(len(values))
    symbol = call.context.once(
        ("shifted", id(subject.symbol), values.tobytes()),
        lambda: call.builder.rescaled(subject.symbol, ones, values, call.origin("bias")),
    )
    return replace(subject, symbol=symbol)


def _sum(call: Call, one: Traced, other: Traced, signs: list[float]) -> Traced:
    later = _later_steps(one, other, signs)
    if later is not None:
        return later
    if isinstance(one.symbol, Events) or isinstance(other.symbol, Events):
        raise NoMeaning(
            f"a sum of {described(one.symbol)} and {described(other.symbol)}",
            "sums of currents: spikes are 0 or 1",
            "add before the neurons (membrane shortcuts)",
        )
    if one.symbol.shape != other.symbol.shape:
        raise NoMeaning(f"a sum of signals of shapes {one.symbol.shape} and {other.symbol.shape}")
    layout, time = _joint_layout(one, other, "a sum"), _joint_time(one, other)
    parts = [
        traced if sign == 1 else _scaled(call, traced, torch.tensor(sign))
        for traced, sign in zip((one, other), signs, strict=True)
    ]
    first, second = (part.symbol for part in parts)
    if first is second:
        return _scaled(call, Traced(first, layout, time), torch.tensor(2.0))
    symbol = call.context.once(
        ("sum", id(first), id(second)),
        lambda: Total(first.shape, (first, second), call.origin("shortcut")),
    )
    return Traced(symbol, layout, time)


def _later_steps(one: Traced, other: Traced, signs: list[float]) -> Traced | None:
    """Return a sum over time extended by a step, or None if the terms are not such a sum."""
    if one.symbol is not other.symbol or one.time is None or other.time is None:
        return None
    if one.time.present & other.time.present or one.time.gain != other.time.gain:
        return None
    if signs != [1.0, 1.0] or tuple(map(merged, one.layout)) != tuple(map(merged, other.layout)):
        return None
    return replace(one, time=replace(one.time, present=one.time.present | other.time.present))


@handles("maximum", "logical_or", "bitwise_or", "or", "ior")
def either(call: Call) -> Traced:
    """Raise `NoMeaning`, since graphs have no node for this operation."""
    raise NoMeaning("an OR of two signals", "an OR over windows: a max-pool of spikes")


@handles("relu", "relu6")
def rectify(call: Call) -> Traced:
    """Return spikes unchanged, since they are never negative."""
    symbol = call.subject.symbol
    if isinstance(symbol, Events) and symbol.is_binary and symbol.gain > 0:
        return call.subject
    raise NoMeaning(f"{call.name} of {described(symbol)}", "spiking neurons")
