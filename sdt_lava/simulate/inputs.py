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


def to_time_first(x: Any, frame_shape: Shape, timesteps: int) -> np.ndarray:
    """Check an input and bring it to ``(T, B, *shape)``; a static image is repeated.

    Parameters
    ----------
    x : array_like
        ``(B, *shape)`` or ``(B, T, *shape)``, real and finite.
    frame_shape : tuple of int
        Shape of one frame.
    timesteps : int
        Steps for which a static input is presented.

    Raises
    ------
    DataError
        If the shape does not fit, the input is empty or not finite, or not numeric.
    """
    values = np.asarray(x)
    finite = values.dtype.kind != "f" or bool(np.isfinite(values).all())
    allowed = f"(B, {', '.join(map(str, frame_shape))}) or (B, T, ...) of numbers"
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
    entry = graph.input
    values = to_time_first(x, entry.shape, graph.timesteps)
    scaled = _scaled(entry, _shown(values))
    if scaled.min() < entry.low or scaled.max() > entry.high:
        outside = np.count_nonzero((scaled < entry.low) | (scaled > entry.high))
        logger.warning(
            "%d of %d input values lie outside %d..%d (scale %g) and are clipped",
            outside,
            scaled.size,
            entry.low,
            entry.high,
            entry.scale,
        )
        scaled = np.clip(scaled, entry.low, entry.high)
    return np.broadcast_to(scaled.astype(np.int64, copy=False), values.shape)


def widened(graph: Graph, x: Any) -> Graph:
    """Return the graph with the range of its data, if its input's range is only an expectation.

    Parameters
    ----------
    graph : Graph
        Unchanged if its input does not widen, or holds the data already.
    x : array_like
        As for :func:`encode`.
    """
    entry = graph.input
    if not entry.widens:
        return graph
    scaled = _scaled(entry, _shown(to_time_first(x, entry.shape, graph.timesteps)))
    low = max(min(entry.low, int(scaled.min())), -PAYLOAD_LIMIT)
    high = min(max(entry.high, int(scaled.max())), PAYLOAD_LIMIT)
    if (low, high) == (entry.low, entry.high):
        return graph
    logger.info("%s: payloads from %d to %d", entry.name, low, high)
    fitting = replace(entry, low=low, high=high)
    return graph.rebuild(fitting if node is entry else node for node in graph.nodes.values())


def _shown(values: np.ndarray) -> np.ndarray:
    """Return the frames that differ: one, if a static image is repeated."""
    return values[:1] if values.strides[0] == 0 else values


def _scaled(entry: Input, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind in "bi" and (entry.scale, entry.offset) == (1, 0):
        return values.astype(np.int64)
    return np.rint(values.astype(np.float64) * entry.scale + entry.offset)
