"""Encode real input as integer frames, in the same way for every integer back end."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import Any

import numpy as np

from sdt_lava.errors import DataError
from sdt_lava.ir import Graph, Input, Shape
from sdt_lava.ir.numerics import PAYLOAD_LIMIT, IntArray
from sdt_lava.support.arrays import as_numpy

logger = logging.getLogger(__name__)

# Tolerance for floating-point noise around a whole number.
_WHOLE = 1e-3
# Share of the values that must be lost by rounding for a warning; the loss is usually far less.
_NOTABLE_LOSS = 0.05


def to_time_first(
    x: Any, frame_shape: Shape, timesteps: int, *, look: bool = True
) -> np.ndarray:  # fmt: skip
    """Check an input and convert it to ``(T, B, *shape)``; static images are repeated.

    Parameters
    ----------
    x : array_like
        Finite real input ``(B, *shape)`` or ``(B, T, *shape)``.
    frame_shape : tuple of int
        Shape of one frame.
    timesteps : int
        Number of steps for which a static input is repeated.
    look : bool
        Whether to check the values; otherwise, the caller must do so.

    Raises
    ------
    DataError
        If the shape does not fit, or the input is empty, not finite or not numeric.
    """
    values = as_numpy(x, "input x")
    finite = not look or values.dtype.kind != "f" or bool(np.isfinite(values).all())
    allowed = f"(B, {', '.join(map(str, frame_shape))}) or (B, T, ...) of numbers"
    if values.shape[1:] == frame_shape:
        values = np.broadcast_to(values[None], (timesteps, *values.shape))
    elif values.ndim == len(frame_shape) + 2 and values.shape[2:] == frame_shape:
        values = np.swapaxes(values, 0, 1)
    else:
        remedy = layout_remedy(values.shape, frame_shape)
        raise DataError("input x", f"shape {values.shape}", allowed, remedy)
    if 0 in values.shape:
        raise DataError("input x", f"shape {np.shape(x)}", "at least one sample and one step")
    if not finite:
        raise DataError("input x", "NaN or infinity", "finite values")
    return values


def layout_remedy(shape: Shape, frame: Shape) -> str:
    """Suggest how to convert an array in another common layout to ``(B, ..., *frame)``.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array that does not fit.
    frame : tuple of int
        Shape of one frame.

    Returns
    -------
    str
        The suggestion, or '' if there is none.
    """
    sides = len(frame)
    if frame in (shape, shape[1:]) and len(shape) <= sides + 1:
        return "add an axis for the samples: x[None]"
    if sides == 3 and shape[-3:] == (*frame[1:], frame[0]):
        return "channels come before height and width: np.moveaxis(x, -1, -3)"
    if sides == 3 and shape[-3:] == (frame[0], frame[2], frame[1]):
        return "height comes before width: np.swapaxes(x, -1, -2)"
    if shape[1:-1] == frame:
        return "time comes after the samples, not last as in SLAYER: np.moveaxis(x, -1, 1)"
    if len(shape) > 1 and math.prod(shape[1:]) == math.prod(frame):
        return f"x.reshape(-1, {', '.join(map(str, frame))})"
    return ""


def warn_of_steps(x: np.ndarray, frame: Shape, timesteps: int) -> None:
    """Warn if an input has a different number of steps from its network."""
    shape = x.shape
    if shape[2:] != frame or shape[1] == timesteps:
        return
    swapped = shape[0] == timesteps
    logger.warning(
        "the input has %d steps, but the network was made for %d: logits add up over the steps "
        "given%s",
        shape[1],
        timesteps,
        "; if the first axis is time, swap it with that of the samples: np.swapaxes(x, 0, 1)"
        if swapped
        else "",
    )


def encode(graph: Graph, x: Any) -> IntArray:
    """Return the integer frames ``clip(rint(x * scale + offset), low, high)`` (see `Input`).

    Parameters
    ----------
    graph : Graph
        Network whose input node defines scale and range.
    x : array_like
        Input ``(B, *shape)`` or ``(B, T, *shape)``.

    Returns
    -------
    ndarray of int64
        Frames ``(T, B, *shape)``.

    Raises
    ------
    DataError
        If the input does not fit the network.
    """
    return _clipped(graph.input, _Scaled(graph, x))


def enter(graph: Graph, x: Any) -> tuple[Graph, IntArray]:
    """Return integer frames of an input, and the graph with an input range that fits them.

    Parameters
    ----------
    graph : Graph
        Network; if its input range is only an expectation, the range is extended to the data.
    x : array_like
        Input as for :func:`encode`.

    Returns
    -------
    graph : Graph
        The given graph, unless its input range was extended.
    frames : ndarray of int64
        Frames ``(T, B, *shape)``.

    Raises
    ------
    DataError
        If the input does not fit the network.
    """
    scaled = _Scaled(graph, x)
    graph = _widened(graph, scaled)
    return graph, _clipped(graph.input, scaled)


class _Scaled:
    """Input in the units of a network's input node, with its extremes."""

    def __init__(self, graph: Graph, x: Any) -> None:
        entry = graph.input
        values = to_time_first(x, entry.shape, graph.timesteps)
        self.shape = values.shape
        # Distinct frames; only one if a static image is repeated.
        distinct = values[:1] if values.strides[0] == 0 else values
        self.frames: np.ndarray
        is_plain = (entry.scale, entry.offset, entry.step) == (1, 0, 1)
        if is_plain and np.can_cast(values.dtype, np.int64):
            self.frames = distinct.astype(np.int64)
        else:
            levels = distinct
            if not is_plain or values.dtype.kind != "f":
                levels = distinct.astype(np.float64) * entry.scale + entry.offset
            self.frames = _rounded(levels, entry.step)
            _warn_of_rounding(levels, self.frames, entry)
        self.low, self.high = _extremes(self.frames, entry)


def _warn_of_rounding(levels: np.ndarray, frames: np.ndarray, entry: Input) -> None:
    """Warn if rounding to levels loses more than the network was calibrated for.

    A network with its own levels was calibrated with their rounding error, which is small compared
    with the values. Other networks expect whole numbers.
    """
    error = np.abs(levels - frames)
    rounded = np.count_nonzero(error > _WHOLE)
    if not rounded:
        return
    relative_loss = float(error.mean() / max(np.abs(levels - entry.offset).mean(), _WHOLE))
    if (entry.scale, entry.offset) == (1, 0):
        logger.warning(
            "%d of %d input values are not whole numbers and are rounded (scale 1): on average "
            "%.1f %% of a value is lost; give the network spikes or counts as in its training",
            rounded,
            levels.size,
            100 * relative_loss,
        )
    elif relative_loss > _NOTABLE_LOSS:
        logger.warning(
            "rounding to input levels (scale %g) loses %.1f %% of a value on average: is this the "
            "data, in the units, that the network was trained on?",
            entry.scale,
            100 * relative_loss,
        )


def _rounded(levels: np.ndarray, step: int) -> np.ndarray:
    whole: np.ndarray = np.rint(levels)
    return whole if step == 1 else np.where(levels == whole, levels, np.rint(levels / step) * step)


def _extremes(frames: np.ndarray, entry: Input) -> tuple[Any, Any]:
    """Return the lowest and highest value; the lowest may be 0 if no value is out of range."""
    if frames.dtype == np.int64 and entry.low == 0:
        # As unsigned numbers, negative values are the largest, so one pass is enough.
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
    widened_input = replace(entry, low=low, high=high)
    return graph.rebuild(widened_input if node is entry else node for node in graph.nodes.values())


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
