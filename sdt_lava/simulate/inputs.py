"""From real input to integer frames: done once, the same for every integer back end."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np

from sdt_lava.errors import DataError
from sdt_lava.graph import Graph, Input, Shape
from sdt_lava.numerics import PAYLOAD_LIMIT, IntArray

logger = logging.getLogger(__name__)


def to_time_first(
    x: Any, frame_shape: Shape, timesteps: int, *, look: bool = True
) -> np.ndarray:  # fmt: skip
    """Check an input and bring it to ``(T, B, *shape)``; a static image is repeated.

    Parameters
    ----------
    x : array_like
        ``(B, *shape)`` or ``(B, T, *shape)``, real and finite.
    frame_shape : tuple of int
        Shape of one frame.
    timesteps : int
        Steps for which a static input is presented.
    look : bool
        Whether values are looked at; otherwise the caller has to.

    Raises
    ------
    DataError
        If the shape does not fit, the input is empty or not finite, or not numeric.
    """
    allowed = f"(B, {', '.join(map(str, frame_shape))}) or (B, T, ...) of numbers"
    values = _as_array(x, allowed)
    finite = not look or values.dtype.kind != "f" or bool(np.isfinite(values).all())
    if values.dtype.kind not in "biuf":
        raise DataError("input x", f"values of type {values.dtype}", allowed)
    if values.shape[1:] == frame_shape:
        values = np.broadcast_to(values[None], (timesteps, *values.shape))
    elif values.ndim == len(frame_shape) + 2 and values.shape[2:] == frame_shape:
        values = np.swapaxes(values, 0, 1)
    else:
        raise DataError("input x", f"shape {values.shape}", allowed)
    if 0 in values.shape:
        raise DataError("input x", f"shape {np.shape(x)}", "at least one sample and one step")
    if not finite:
        raise DataError("input x", "NaN or infinity", "finite values")
    return values


def _as_array(x: Any, allowed: str) -> np.ndarray:
    try:
        values = np.asarray(x)
    except (TypeError, ValueError, RuntimeError) as error:
        # Ragged lists, tensors with a gradient or on a GPU.
        raise DataError("input x", f"no array: {error}", allowed) from error
    if np.ma.is_masked(x):
        raise DataError("input x", "masked values", allowed, "fill them: x.filled(0)")
    return values


def encode(graph: Graph, x: Any) -> IntArray:
    """Return the integer frames ``clip(rint(x * scale + offset), low, high)``.

    Parameters
    ----------
    graph : Graph
        The network whose input node gives scale and range.
    x : array_like
        ``(B, *shape)`` or ``(B, T, *shape)``.

    Returns
    -------
    ndarray of int64
        ``(T, B, *shape)``.

    Raises
    ------
    DataError
        If the input does not fit.
    """
    return _clipped(graph.input, _Scaled(graph, x))


def enter(graph: Graph, x: Any) -> tuple[Graph, IntArray]:
    """Return the graph that an input fits, and the input's integer frames.

    Parameters
    ----------
    graph : Graph
        If the range of its input is only an expectation, it gets the range of the data.
    x : array_like
        As for :func:`encode`.

    Returns
    -------
    graph : Graph
        The graph given, if its input does not widen or holds the data already.
    frames : ndarray of int64
        ``(T, B, *shape)``.

    Raises
    ------
    DataError
        If the input does not fit.
    """
    scaled = _Scaled(graph, x)
    graph = _widened(graph, scaled)
    return graph, _clipped(graph.input, scaled)


class _Scaled:
    """An input in the units of a network's input node, with its extremes."""

    def __init__(self, graph: Graph, x: Any) -> None:
        entry = graph.input
        values = to_time_first(x, entry.shape, graph.timesteps)
        self.shape = values.shape
        # The frames that differ: one, if a static image is repeated.
        shown = values[:1] if values.strides[0] == 0 else values
        self.frames: np.ndarray
        is_plain = (entry.scale, entry.offset) == (1, 0)
        if is_plain and np.can_cast(values.dtype, np.int64):
            self.frames = shown.astype(np.int64)
        elif is_plain and values.dtype.kind == "f":
            self.frames = np.rint(shown)
        else:
            self.frames = np.rint(shown.astype(np.float64) * entry.scale + entry.offset)
        self.low, self.high = _extremes(self.frames, entry)


def _extremes(frames: np.ndarray, entry: Input) -> tuple[Any, Any]:
    """Return the lowest and the highest value, or 0 and the latter if none is outside."""
    if frames.dtype == np.int64 and entry.low == 0:
        # Without signs negative numbers are the largest: one look at each value is enough.
        high = int(frames.view(np.uint64).max())
        if high <= entry.high:
            return 0, high
    return frames.min(), frames.max()


def _widened(graph: Graph, scaled: _Scaled) -> Graph:
    entry = graph.input
    low = max(min(entry.low, int(scaled.low)), -PAYLOAD_LIMIT)
    high = min(max(entry.high, int(scaled.high)), PAYLOAD_LIMIT)
    if not entry.widens or (low, high) == (entry.low, entry.high):
        return graph
    logger.info("%s: payloads from %d to %d", entry.name, low, high)
    fitting = replace(entry, low=low, high=high)
    return graph.rebuild(fitting if node is entry else node for node in graph.nodes.values())


def _clipped(entry: Input, scaled: _Scaled) -> IntArray:
    frames = scaled.frames
    if scaled.low < entry.low or scaled.high > entry.high:
        outside = np.count_nonzero((frames < entry.low) | (frames > entry.high))
        logger.warning(
            "%d of %d input values lie outside %d..%d (scale %g) and are clipped",
            outside,
            frames.size,
            entry.low,
            entry.high,
            entry.scale,
        )
        frames = np.clip(frames, entry.low, entry.high)
    return np.broadcast_to(frames.astype(np.int64, copy=False), scaled.shape)
