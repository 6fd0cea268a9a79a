"""Simulate integer spiking neurons by steps, with recurrence and axonal delays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.ir.numerics import IntArray, LifParameters, lif_step


@dataclass(frozen=True)
class CubaParameters:
    """Integer parameters of a population of spiking neurons.

    Parameters
    ----------
    lif : LifParameters
        LIF parameters of the neurons.
    delay : int or ndarray of int64
        Axonal delay in steps, broadcastable to the population.
    weight_rec : ndarray of int64 or None
        Recurrent weights ``(N, N)``, to and from neurons in C order.
    """

    lif: LifParameters
    delay: IntArray | int = 0
    weight_rec: IntArray | None = None


class CubaPopulation:
    """A population of spiking neurons with its state.

    Parameters
    ----------
    parameters : CubaParameters
        Parameters of the neurons.
    shape : tuple of int
        Shape ``(B, *shape)`` of the independent neurons of B samples.
    """

    def __init__(self, parameters: CubaParameters, shape: tuple[int, ...]) -> None:
        self._parameters = parameters
        self._shape = shape
        self._delay = np.broadcast_to(np.asarray(parameters.delay, np.int64), shape)[None]
        self.reset()

    def reset(self) -> None:
        """Reset the neurons to rest; delayed spikes are lost."""
        rest = np.zeros(self._shape, np.int64)
        # The latest spikes come first: history[d] holds those of d + 1 steps ago.
        history = np.zeros((int(self._delay.max(initial=0)) + 1, *self._shape), np.uint8)
        self.state: tuple[NDArray[Any], ...] = (rest, rest, history)

    def step(self, activation: IntArray) -> tuple[NDArray[np.uint8], IntArray, IntArray]:
        """Advance by one step.

        Parameters
        ----------
        activation : ndarray of int64
            Sum of the weighted input of this step, ``(B, *shape)``.

        Returns
        -------
        sent : ndarray of uint8
            Spikes sent in this step.
        arriving : ndarray of int64
            Activation including recurrent input.
        peak : ndarray of int64
            ``v`` before saturation and reset.
        """
        current, voltage, history = self.state
        arriving = activation
        if self._parameters.weight_rec is not None:
            spikes = history[0].reshape(self._shape[0], -1)
            arriving = arriving + (spikes @ self._parameters.weight_rec.T).reshape(self._shape)
        current, voltage, fired, peak = lif_step(current, voltage, arriving, self._parameters.lif)
        history = np.concatenate([fired[None].astype(np.uint8), history[:-1]])
        self.state = current, voltage, history
        return np.take_along_axis(history, self._delay, axis=0)[0], arriving, peak
