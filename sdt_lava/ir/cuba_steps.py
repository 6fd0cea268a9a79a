"""Integer spiking neurons step by step: recurrence and axonal delays around the LIF equation."""

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
        Of its neurons.
    delay : int or ndarray of int64
        Steps that a spike waits before it leaves, broadcastable to the population.
    weight_rec : ndarray of int64 or None
        Recurrent weights ``(N, N)``, to and from neurons in C order.
    """

    lif: LifParameters
    delay: IntArray | int = 0
    weight_rec: IntArray | None = None


class CubaPopulation:
    """A population and its state.

    Parameters
    ----------
    parameters : CubaParameters
        What it computes.
    shape : tuple of int
        ``(B, *shape)``: neurons of B samples, which know nothing of one another.
    """

    def __init__(self, parameters: CubaParameters, shape: tuple[int, ...]) -> None:
        self._parameters = parameters
        self._shape = shape
        self._delay = np.broadcast_to(np.asarray(parameters.delay, np.int64), shape)[None]
        self.reset()

    def reset(self) -> None:
        """Return to rest; spikes on their way are lost."""
        rest = np.zeros(self._shape, np.int64)
        # Latest spikes first: history[d] was made d + 1 steps ago.
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
            Spikes that leave in this step.
        arriving : ndarray of int64
            The activation, with what the neurons send to themselves.
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
