"""Compare an operator of a library with sums that no library had a part in.

The operator runs on inputs of exactly the shape and order in memory that it is about to get, with
the weights that it is about to be used with:

* every event at its largest, where products that saturate are as large as they become;
* the largest events where one output's weights are positive, and the smallest elsewhere, and the
  other way round: the largest partial sums;
* random events, which tell positions and channels apart that an operator exchanges.

Memory around the input, and the memory that the output is likely to get, holds NaN or the largest
byte: what is read from outside, or never written, shows. Sums are compared by a random combination
of each position's outputs (Freivalds): the same combination of the weights gives it with one
output's work, in 64-bit integers of NumPy. A wrong sum is missed with a probability below 1 in
10 000, and there are many of them where an operator is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdt_lava.engine.synapses import Weights
from sdt_lava.ir.numerics import IntArray

if TYPE_CHECKING:
    from sdt_lava.engine.dense import DenseKernel

# Factors of the random combination; with sums below 2^53 it may wrap, on both sides alike.
_LARGEST_FACTOR = 2**15
# What lies before and behind the input [elements]; a multiple of every vector.
_GUARD = 4096
_NO_MEMORY = ("can't allocate memory", "out of memory")


def difference(make: Callable[[], DenseKernel], shape: tuple[int, ...]) -> str:
    """Return what an operator does wrong with inputs of a shape; '' if nothing.

    Parameters
    ----------
    make : callable
        Returns the operator, with its weights.
    shape : tuple of int
        ``(N, C, rows, columns)`` of its input, the border included.
    """
    try:
        return _compare(make(), shape)
    except RuntimeError as error:
        text = str(error)
        if any(sign in text.lower() for sign in _NO_MEMORY):
            raise
        return f"fails ({text.splitlines()[0] if text else type(error).__name__})"


def _compare(kernel: DenseKernel, shape: tuple[int, ...]) -> str:
    rng = np.random.default_rng(0)
    weights = kernel.weights
    factors = rng.integers(-_LARGEST_FACTOR, _LARGEST_FACTOR + 1, len(weights.mantissa))
    combined = _combined(weights, factors)
    for events in _inputs(weights, shape, rng):
        found = _run(kernel, torch.from_numpy(events).permute(0, 3, 1, 2))
        expected = _sums(events, combined, weights)
        if found.shape[:3] != expected.shape:
            return f"gives sums of shape {found.shape}"
        whole = _whole(found)
        if whole is None or not np.array_equal(whole @ factors, expected):
            return "gives other sums"
    return ""


def _inputs(
    weights: Weights, shape: tuple[int, ...], rng: np.random.Generator
) -> Iterator[IntArray]:
    """Yield events ``(N, rows, columns, C)``: as many arrays as it takes for every pattern."""
    images, channels, *sides = shape
    size = (*sides, channels)
    low, high = weights.events
    # The small end is on the other side of 0, which is where the border is.
    large, small = (high, min(low, 0)) if high >= -low else (low, max(high, 0))
    positive = _tiled(weights, sides)
    kind = np.uint8 if low >= 0 and high < 2**8 else np.int64  # fewer random bits

    def random(shape: tuple[int, ...]) -> IntArray:
        return rng.integers(low, high + 1, shape, kind).astype(np.int64)

    patterns = [
        np.full(size, large, np.int64),
        np.where(positive, large, small),
        np.where(positive, small, large),
        random(size),
    ]
    for start in range(0, len(patterns), images):
        values = random((images, *size))
        for image, pattern in enumerate(patterns[start : start + images]):
            values[image] = pattern
        yield values


def _tiled(weights: Weights, sides: list[int]) -> NDArray[np.bool_]:
    """Return where the weights of the largest output of each group are positive, as tiles."""
    per_output = np.abs(weights.mantissa).reshape(
        weights.window.groups, -1, *weights.mantissa.shape[1:]
    )
    largest = per_output.sum(axis=(2, 3, 4)).argmax(axis=1)
    share = per_output.shape[1]
    chosen = [group * share + output for group, output in enumerate(largest)]
    kernels = np.concatenate([weights.mantissa[output] for output in chosen]) > 0
    places = [
        np.arange(side) // dilation % kernel
        for side, dilation, kernel in zip(
            sides, weights.window.dilation, weights.window.kernel, strict=True
        )
    ]
    tiles: NDArray[np.bool_] = kernels[:, places[0][:, None], places[1]].transpose(1, 2, 0)
    return tiles


def _run(kernel: DenseKernel, events: Tensor) -> NDArray[np.generic]:
    """Return the sums ``(N, H', W', O)``, with poison around the input."""
    wanted = kernel.bring(events)
    poison = torch.iinfo(wanted.dtype).max if not wanted.dtype.is_floating_point else float("nan")
    around = torch.full(
        (wanted.numel() + 2 * _GUARD,), poison, dtype=wanted.dtype, device=wanted.device
    )
    inside = around.as_strided(wanted.shape, wanted.stride(), _GUARD)
    inside.copy_(wanted)
    # Freed at once: the output is likely to get the same memory.
    del wanted
    torch.full(kernel.output_shape(inside), float("nan"), dtype=torch.float32, device=inside.device)
    return kernel.sums(inside).permute(0, 2, 3, 1).cpu().numpy()


def _whole(sums: NDArray[np.generic]) -> IntArray | None:
    """Return sums as integers, or None if they are none."""
    with np.errstate(invalid="ignore"):
        whole = sums.astype(np.int64)
    return whole if np.array_equal(whole, sums) else None


def _combined(weights: Weights, factors: IntArray) -> IntArray:
    """Return the combination of all outputs' weights, ``(kH, kW, C)``."""
    groups = weights.window.groups
    by_group = weights.mantissa.astype(np.int64).reshape(groups, len(factors) // groups, -1)
    parts = np.matmul(factors.reshape(groups, 1, -1), by_group)
    return parts.reshape(-1, *weights.window.kernel).transpose(1, 2, 0)


def _sums(events: IntArray, combined: IntArray, weights: Weights) -> IntArray:
    """Return one output's sums, ``(N, H', W')``, whichever of windows and taps are fewer."""
    (stride_h, stride_w), (dilation_h, dilation_w) = weights.window.stride, weights.window.dilation
    kernel_h, kernel_w = weights.window.kernel
    images, height, width, _ = events.shape
    reach_h, reach_w = weights.window.reach
    rows, columns = (height - reach_h) // stride_h + 1, (width - reach_w) // stride_w + 1
    sums = np.zeros((images, rows, columns), np.int64)
    if rows * columns <= kernel_h * kernel_w:
        flat = combined.ravel()
        for y, x in np.ndindex(rows, columns):
            down = slice(y * stride_h, y * stride_h + reach_h, dilation_h)
            right = slice(x * stride_w, x * stride_w + reach_w, dilation_w)
            sums[:, y, x] = events[:, down, right].reshape(images, -1) @ flat
        return sums
    for i, j in np.ndindex(kernel_h, kernel_w):
        down = slice(i * dilation_h, i * dilation_h + (rows - 1) * stride_h + 1, stride_h)
        right = slice(j * dilation_w, j * dilation_w + (columns - 1) * stride_w + 1, stride_w)
        sums += events[:, down, right] @ combined[i, j]
    return sums
