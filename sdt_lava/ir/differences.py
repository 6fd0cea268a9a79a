"""Find the first difference between two runs of a population."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FirstDifference:
    """Earliest differing spike of a layer, by step, sample and neuron.

    Parameters
    ----------
    step, sample : int
        Step and sample of the difference.
    neuron : tuple of int
        Position in the layer, ``(C, H, W)`` or ``(C,)``.
    left, right : int
        Values of the two runs, with 1 for a spike.
    """

    step: int
    sample: int
    neuron: tuple[int, ...]
    left: int
    right: int

    @property
    def place(self) -> tuple[int, ...]:
        """Step, sample and position, by which differences are ordered."""
        return (self.step, self.sample, *self.neuron)


def first_difference(left: np.ndarray, right: np.ndarray) -> FirstDifference | None:
    """Return the first difference of two spike trains ``(T, B, *shape)``; None if equal."""
    different = left != right
    if not different.any():
        return None
    step, sample, *neuron = map(int, np.unravel_index(int(different.argmax()), different.shape))
    place = (step, sample, *neuron)
    return FirstDifference(step, sample, tuple(neuron), int(left[place]), int(right[place]))
