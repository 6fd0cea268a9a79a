"""Where two runs of a population differ first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FirstDifference:
    """The earliest differing spike of a layer, by step, then sample, then neuron.

    Parameters
    ----------
    step, sample : int
        When, and in which sample.
    neuron : tuple of int
        Position in the layer, ``(C, H, W)`` or ``(C,)``.
    left, right : int
        What each execution has there: 1 for a spike.
    """

    step: int
    sample: int
    neuron: tuple[int, ...]
    left: int
    right: int

    @property
    def place(self) -> tuple[int, ...]:
        """Step, sample and position: what differences are ordered by."""
        return (self.step, self.sample, *self.neuron)


def first_difference(left: np.ndarray, right: np.ndarray) -> FirstDifference | None:
    """Return where two spike trains ``(T, B, *shape)`` differ first, None if they are equal."""
    different = left != right
    if not different.any():
        return None
    step, sample, *neuron = map(int, np.unravel_index(int(different.argmax()), different.shape))
    place = (step, sample, *neuron)
    return FirstDifference(step, sample, tuple(neuron), int(left[place]), int(right[place]))
