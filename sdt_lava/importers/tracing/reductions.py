"""Handle sums and means over tokens, and over time at the end of a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sdt_lava.importers.tracing.axes import (
    BATCH,
    TIME,
    Axis,
    Layout,
    has_copies,
    merged,
    roots,
    size_of,
    whole,
)
from sdt_lava.importers.tracing.builder import described
from sdt_lava.importers.tracing.calls import Call, handles
from sdt_lava.importers.tracing.refusals import NoMeaning
from sdt_lava.importers.tracing.symbols import (
    Count,
    Events,
    Membrane,
    Steps,
    Symbol,
    TokenAverage,
    Traced,
    Votes,
    Windows,
)


@handles("sum", "mean")
def reduce(call: Call) -> Traced:
    """Reduce over tokens, time or both."""
    subject = call.subject
    dims = call.arg(1, "dim", None)
    ndim = len(subject.layout)
    dim_list = range(ndim) if dims is None else [dims] if isinstance(dims, int) else dims
    positions = sorted(dim % ndim for dim in dim_list)
    keeps_axes = bool(call.arg(2, "keepdim", False))
    is_mean = call.name == "mean"
    axes = [subject.layout[position] for position in positions]
    if any(has_copies(axis) for axis in axes) or BATCH in roots(axes):
        raise NoMeaning(f"a {call.name} over the batch or over copies", "over tokens or time")
    time = [p for p in positions if TIME in roots([subject.layout[p]])]
    token_positions = [p for p in positions if p not in time]
    for position in time:
        subject = _over_time(call, subject, position, is_mean)
    if token_positions and _reduces_tokens(subject, token_positions):
        tokens = int(np.prod([size_of(subject.layout[p]) for p in token_positions]))
        gain = 1.0 if is_mean else float(tokens)
        subject = over_tokens(call, subject, tuple(token_positions), gain, keeps_axes=True)
    layout = tuple(
        () if position in positions else axis
        for position, axis in enumerate(subject.layout)
        if keeps_axes or position not in positions
    )
    return replace(subject, layout=layout)


def _over_time(call: Call, subject: Traced, position: int, is_mean: bool) -> Traced:
    axis = subject.layout[position]
    if merged(axis) != merged(whole(TIME, size_of(axis))):
        raise NoMeaning(f"a {call.name} over time together with other axes", "over time alone")
    steps = size_of(axis)
    layout = list(subject.layout)
    layout[position] = ()
    time = Steps(frozenset(range(steps)), 1 / steps if is_mean else 1.0)
    return Traced(subject.symbol, tuple(layout), time)


def _reduces_tokens(subject: Traced, positions: Sequence[int]) -> bool:
    """Return whether axes are those of the tokens; unrelated axes of length 1 are not."""
    shape, axes = subject.symbol.shape, [subject.layout[position] for position in positions]
    factors = [factor for axis in axes for factor in merged(axis)]
    tokens = 1 if len(shape) < 3 else shape[1] * shape[2]
    if not factors:
        return len(shape) == 3 and tokens == 1 and bool(roots(axes) & {"1", "2"})
    size = int(np.prod([factor.size for factor in factors]))
    if {factor.root for factor in factors} <= {"1", "2"} and size == tokens:
        return True
    raise NoMeaning(
        f"a sum or mean over a part of the axes of {described(subject.symbol)}",
        "over all tokens, or over time at the end",
    )


def over_tokens(
    call: Call, subject: Traced, positions: tuple[int, ...], gain: float, *, keeps_axes: bool
) -> Traced:
    """Return the mean over all tokens, times a gain."""
    _reduces_tokens(subject, positions)
    symbol = call.context.once(
        ("tokens", id(subject.symbol), gain), lambda: _token_mean(call, subject.symbol, gain)
    )
    layout: Layout = tuple(
        _without_tokens(axis, position in positions) for position, axis in enumerate(subject.layout)
    )
    if not keeps_axes:
        layout = tuple(axis for p, axis in enumerate(layout) if p not in positions)
    return replace(subject, symbol=symbol, layout=layout)


def _without_tokens(axis: Axis, is_reduced: bool) -> Axis:
    # A single token keeps axes of length 1 that were its rows and columns.
    return () if is_reduced else tuple(f for f in axis if f.root not in ("1", "2"))


def _token_mean(call: Call, symbol: Symbol, gain: float) -> Symbol:
    shape, tokens = symbol.shape[:1], float(np.prod(symbol.shape[1:]))
    if isinstance(symbol, Membrane | Votes | Count):
        raise NoMeaning(f"a {call.name} of {described(symbol)}")
    if isinstance(symbol, Events) and symbol.is_binary:
        origin = call.origin("token_sum")
        return Count(shape, replace(symbol, gain=1.0), origin, symbol.gain * gain / tokens)
    if isinstance(symbol, Events):
        channels = symbol.shape[0]
        weight = np.full((channels, 1, *symbol.shape[1:]), gain / tokens)
        windows = Windows(groups=channels)
        origin = call.origin("mean")
        mean = call.builder.linear(symbol, weight, None, windows, (channels, 1, 1), origin)
        # Only channels remain.
        return call.builder.linear(mean, np.eye(channels), None, None, shape, origin)
    return TokenAverage(shape, symbol, call.origin("token_mean"), gain)


def one_step(time: Any) -> int | None:
    """Return the time step of a value, or None if it has several."""
    if isinstance(time, Steps) and len(time.present) == 1 and time.gain == 1:
        return next(iter(time.present))
    return None
