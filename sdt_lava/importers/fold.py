"""Fold batch normalisation into the preceding weights, in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class BatchNorm:
    """Parameters of a batch normalisation in evaluation mode, ``(C,)`` each.

    ``BN(W x + b)`` is ``W' x + b'`` with ``W' = gain W`` and ``b' = offset + gain b``.
    """

    gamma: FloatArray
    beta: FloatArray
    mean: FloatArray
    variance: FloatArray
    epsilon: float

    @property
    def gain(self) -> FloatArray:
        """Factor of each channel, ``gamma / sqrt(variance + epsilon)``."""
        return np.asarray(self.gamma / np.sqrt(self.variance + self.epsilon))

    @property
    def offset(self) -> FloatArray:
        """Offset of each channel, ``beta - gain * mean``."""
        return self.beta - self.gain * self.mean
