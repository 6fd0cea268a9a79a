"""Simulate integer sigma-delta populations by steps, in the 32-bit arithmetic of Lava.

The equations are those of ``lava.proc.sdn`` (lava-nc 0.10.0, fixed point). Lava stores states in 32
bits and wraps silently. It documents 24 bits for Loihi 2, which strict runs enforce.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.ir.numerics import IntArray

Int32Array = NDArray[np.int32]
States = tuple[NDArray[Any], ...]
Exact = tuple[IntArray, ...]


@dataclass(frozen=True)
class DeltaParameters:
    """Integer parameters of neurons that send changes, in the units of the state.

    Parameters
    ----------
    threshold : int
        Threshold below which changes are kept.
    state_exponent : int
        Number of bits of a change that its message omits.
    input_shift : int
        Number of bits by which an encoder shifts its input to the left.
    bias : int or ndarray of int64
        Bias that is added to sigma, broadcastable to the population.
    rectified : bool
        Whether the activation is ``max(x, 0)``.
    """

    threshold: int
    state_exponent: int
    input_shift: int = 0
    bias: IntArray | int = 0
    rectified: bool = False


@dataclass(frozen=True, eq=False)
class Reset:
    """Times and states of resets of neurons.

    Parameters
    ----------
    start : tuple of ndarray of int32
        Flat states at the start of a sample.
    interval, offset : int
        Interval and offset of resets, as for LIFReset.
    """

    start: tuple[Int32Array, ...]
    interval: int
    offset: int


class SigmaDeltaPopulation:
    """Neurons that decode, activate and encode; the state is sigma, activation and residue.

    Parameters
    ----------
    parameters : DeltaParameters
        Parameters of the neurons.
    shape : tuple of int
        Shape ``(B, *shape)`` of the independent neurons of B samples.
    """

    def __init__(self, parameters: DeltaParameters, shape: tuple[int, ...]) -> None:
        self._parameters = parameters
        self._bias = np.asarray(parameters.bias).astype(np.int32)
        rest = np.zeros(shape, np.int32)
        self.state: States = (rest, rest, rest)

    def step(self, arriving: IntArray) -> tuple[Int32Array, Exact]:
        """Advance by one step.

        Parameters
        ----------
        arriving : ndarray of int
            Sum of the weighted messages of this step, ``(B, *shape)``.

        Returns
        -------
        messages : ndarray of int32
            Messages sent in this step.
        exact : tuple of ndarray of int64
            Values of the registers without wrapping, ``(B, *shape)`` each.
        """
        previous, activation, residue = self.state
        current = np.asarray(arriving).astype(np.int32)
        sigma = previous + current
        biased = sigma + self._bias
        value: Int32Array = np.maximum(biased, np.int32(0))
        if not self._parameters.rectified:
            value = biased
        delta = value - activation + residue
        exact = (
            _exact(previous) + arriving,
            _exact(sigma) + self._bias,
            _exact(value) - activation + residue,
        )
        messages, residue = encode(delta, self._parameters)
        self.state = sigma, value, residue
        return messages, exact


class DeltaPopulation:
    """Encoders of an input; the state is the last input and the residue."""

    def __init__(self, parameters: DeltaParameters, shape: tuple[int, ...]) -> None:
        self._parameters = parameters
        rest = np.zeros(shape, np.int32)
        self.state: States = (rest, rest)

    def step(self, arriving: IntArray) -> tuple[Int32Array, Exact]:
        """Advance by one step, as :meth:`SigmaDeltaPopulation.step` does."""
        activation, residue = self.state
        value = np.asarray(arriving).astype(np.int32) << np.int32(self._parameters.input_shift)
        delta = value - activation + residue
        exact = (
            _exact(arriving) << self._parameters.input_shift,
            _exact(value) - activation + residue,
        )
        messages, residue = encode(delta, self._parameters)
        self.state = value, residue
        return messages, exact


class SigmaPopulation:
    """Decoders of an output; the state is sigma, which is also sent."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.state: States = (np.zeros(shape, np.int32),)

    def step(self, arriving: IntArray) -> tuple[Int32Array, Exact]:
        """Advance by one step, as :meth:`SigmaDeltaPopulation.step` does."""
        (previous,) = self.state
        sigma = np.add(previous, np.asarray(arriving).astype(np.int32), dtype=np.int32)
        self.state = (sigma,)
        return sigma, (_exact(previous) + arriving,)


Population = SigmaDeltaPopulation | DeltaPopulation | SigmaPopulation


def encode(delta: Int32Array, parameters: DeltaParameters) -> tuple[Int32Array, Int32Array]:
    """Return the messages of changes and the residues."""
    sent = np.where(np.abs(delta) >= parameters.threshold, delta, np.int32(0))
    return sent >> np.int32(parameters.state_exponent), delta - sent


def _exact(values: IntArray | Int32Array) -> IntArray:
    return np.asarray(values, np.int64)
