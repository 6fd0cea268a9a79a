"""Compute weighted sums on tensors, for the interpreter and the quantizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sdt_lava.engine.dense import Float64, Loops, Matmul64
from sdt_lava.engine.exact import ExactSums, choose_dense
from sdt_lava.engine.synapses import Pair, Weights, Window
from sdt_lava.ir.numerics import IntArray

# Limit on the values of input and output that an operator processes at once.
_PIECE = 1 << 22


def convolve(
    name: str, images: Tensor, weight: IntArray, window: Window, largest_event: int
) -> Tensor:
    """Return the exact sums of a convolution as int64, ``(N, O, H', W')``.

    Parameters
    ----------
    name : str
        Name of the layer, for the log.
    images : Tensor
        Integer images ``(N, C, H, W)``.
    weight : ndarray of int64
        Weights ``(O, C / groups, kH, kW)``.
    window : Window
        Geometry of the convolution.
    largest_event : int
        Largest magnitude in the images.
    """
    dense = _sums_of(name, weight, window, largest_event, images.device)
    padded = _padded(images, window.padding)
    size = max(1, _PIECE // max(padded[0].numel() * len(weight), 1))
    parts = [dense.sums(part).to(torch.int64) for part in padded.split(size)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def linear(
    name: str, matrix: NDArray[Any], largest_event: int, device: torch.device | str
) -> Callable[[Tensor], Tensor]:
    """Return a function that multiplies integers ``(N, C)`` by a matrix ``(O, C)`` exactly.

    Parameters
    ----------
    name : str
        Name of the layer, for the log.
    matrix : ndarray of int64
        Weights ``(O, C)``.
    largest_event : int
        Largest magnitude of the integers.
    device : torch.device or str
        Device of the integers.
    """
    weight = np.asarray(matrix)[:, :, None, None]
    dense = _sums_of(name, weight, Window((1, 1)), largest_event, torch.device(device))

    def product(events: Tensor) -> Tensor:
        return dense.sums(events[..., None, None]).to(torch.int64)[..., 0, 0]

    return product


def convolve_real(images: Tensor, weight: np.ndarray, window: Window) -> Tensor:
    """Convolve real numbers in float64, with an operator that sums integers of this shape exactly.

    Parameters
    ----------
    images : Tensor
        Images ``(N, C, H, W)``.
    weight : ndarray of float64
        Weights ``(O, C / groups, kH, kW)``.
    window : Window
        Geometry of the convolution.
    """
    padded = _padded(images.double(), window.padding)
    # The values of the weights do not affect how a float64 operator sums products.
    coded = np.random.default_rng(0).integers(-127, 127, weight.shape, endpoint=True)
    stand_in = ExactSums(
        Weights(coded, window, (-255, 255)), "float layer", (Float64, Matmul64, Loops)
    )
    kernel = stand_in.kind_for(tuple(padded.shape))(Weights(weight, window, (-1, 1)))
    return kernel.sums(kernel.bring(padded))


def _sums_of(
    name: str, weight: IntArray, window: Window, largest_event: int, device: torch.device
) -> ExactSums:
    # Round up, so that batches share operators.
    reach = 2 ** int(largest_event).bit_length() - 1
    weights = Weights(np.asarray(weight, np.int64), window, (-reach, reach))
    return choose_dense(weights, name, device=device)


def _padded(images: Tensor, padding: Pair) -> Tensor:
    down, right = padding
    return functional.pad(images, (right, right, down, down)) if down or right else images
