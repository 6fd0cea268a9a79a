"""Compare an operator of a library with sums computed independently of it.

The operator runs with the actual weights on inputs of exactly the shape and memory order of its
next input:

* all events at their maximum, which maximises products that may saturate;
* the largest events where the weights of one output are positive and the smallest elsewhere, and
  vice versa, which maximises partial sums;
* random events, which reveal exchanged positions and channels.

Memory around the input, and the memory that the output is likely to get, is filled with NaN or the
largest byte, which reveals out-of-bounds reads and missing writes. Sums are compared by a random
combination of the outputs at each position (Freivalds' algorithm): the same combination of the
weights yields it with the work of a single output, in 64-bit integers of NumPy. A wrong sum is
missed with a probability below 1 in 10 000, and a wrong operator produces many of them.
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

# Range of the random factors. With sums below 2^53, the combination may wrap equally on both sides.
_LARGEST_FACTOR = 2**15
# Guard elements before and after the input; a multiple of every vector size.
_GUARD = 4096
_NO_MEMORY = ("can't allocate memory", "out of memory")


def difference(make: Callable[[], DenseKernel], shape: tuple[int, ...]) -> str:
    """Return the error of an operator on inputs of a shape, or ''.

    Parameters
    ----------
    make : callable
        Function that creates the operator with its weights.
    shape : tuple of int
        Shape ``(N, C, rows, columns)`` of the input, including the border.
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
        sums = _run(kernel, torch.from_numpy(events).permute(0, 3, 1, 2))
        expected = _sums(events, combined, weights)
        if sums.shape[:3] != expected.shape:
            return f"gives sums of shape {sums.shape}"
        whole = _whole(sums)
        if whole is None or not np.array_equal(whole @ factors, expected):
            return "gives other sums"
    return ""


def _inputs(
    weights: Weights, shape: tuple[int, ...], rng: np.random.Generator
) -> Iterator[IntArray]:
    """Yield arrays of events ``(N, rows, columns, C)`` until all patterns are covered."""
    images, channels, *sides = shape
    size = (*sides, channels)
    low, high = weights.events
    # The smallest event is on the other side of 0 or is 0, like the border.
    large, small = (high, min(low, 0)) if high >= -low else (low, max(high, 0))
    positive = _tiled(weights, sides)
    kind = np.uint8 if low >= 0 and high < 2**8 else np.int64  # needs fewer random bits

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
    """Return a tiled mask of the positive weights of the largest output of each group."""
    per_output = np.abs(weights.mantissa).reshape(
        weights.window.groups, -1, *weights.mantissa.shape[1:]
    )
    largest = per_output.sum(axis=(2, 3, 4)).argmax(axis=1)
    share = per_output.shape[1]
    output_indices = [group * share + output for group, output in enumerate(largest)]
    kernels = np.concatenate([weights.mantissa[output] for output in output_indices]) > 0
    places = [
        np.arange(side) // dilation % kernel
        for side, dilation, kernel in zip(
            sides, weights.window.dilation, weights.window.kernel, strict=True
        )
    ]
    tiles: NDArray[np.bool_] = kernels[:, places[0][:, None], places[1]].transpose(1, 2, 0)
    return tiles


def _run(kernel: DenseKernel, events: Tensor) -> NDArray[np.generic]:
    """Return the sums ``(N, H', W', O)`` with the input surrounded by guard values."""
    prepared = kernel.bring(events)
    poison = (
        torch.iinfo(prepared.dtype).max if not prepared.dtype.is_floating_point else float("nan")
    )
    around = torch.full(
        (prepared.numel() + 2 * _GUARD,), poison, dtype=prepared.dtype, device=prepared.device
    )
    inside = around.as_strided(prepared.shape, prepared.stride(), _GUARD)
    inside.copy_(prepared)
    # Free this array at once, since the output is likely to get the same memory.
    del prepared
    torch.full(kernel.output_shape(inside), float("nan"), dtype=torch.float32, device=inside.device)
    return kernel.sums(inside).permute(0, 2, 3, 1).cpu().numpy()


def _whole(sums: NDArray[np.generic]) -> IntArray | None:
    """Return sums as integers, or None if they are not integers."""
    with np.errstate(invalid="ignore"):
        whole = sums.astype(np.int64)
    return whole if np.array_equal(whole, sums) else None


def _combined(weights: Weights, factors: IntArray) -> IntArray:
    """Return the combination of the weights of all outputs, ``(kH, kW, C)``."""
    groups = weights.window.groups
    by_group = weights.mantissa.astype(np.int64).reshape(groups, len(factors) // groups, -1)
    parts = np.matmul(factors.reshape(groups, 1, -1), by_group)
    return parts.reshape(-1, *weights.window.kernel).transpose(1, 2, 0)


def _sums(events: IntArray, combined: IntArray, weights: Weights) -> IntArray:
    """Return the sums of one output, ``(N, H', W')``, in a loop over windows or taps."""
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
