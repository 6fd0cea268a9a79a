"""Folding of batch normalisation into the preceding weights, in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class BatchNorm:
    """Evaluation-time parameters of a batch normalisation, ``(C,)`` each."""

    gamma: FloatArray
    beta: FloatArray
    mean: FloatArray
    variance: FloatArray
    epsilon: float


def fold_batch_norm(
    weight: FloatArray, bias: FloatArray | None, norm: BatchNorm
) -> tuple[FloatArray, FloatArray]:
    """Fold ``BN(W x + b)`` into one weight and bias.

    ``g = gamma / sqrt(variance + epsilon)``, ``W' = g W``, ``b' = beta + g (b - mean)``.

    Parameters
    ----------
    weight : ndarray
        ``(O, ...)``.
    bias : ndarray or None
        ``(O,)``.
    norm : BatchNorm
        The normalisation that follows.

    Returns
    -------
    weight, bias : ndarray of float64
        Folded parameters.
    """
    gain = norm.gamma / np.sqrt(norm.variance + norm.epsilon)
    folded = weight * gain.reshape(-1, *([1] * (weight.ndim - 1)))
    offset = norm.beta - gain * norm.mean
    return folded, offset if bias is None else offset + gain * bias
