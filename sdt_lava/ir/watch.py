"""Define registers of Lava, and record the first value of a run that does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.errors import NumericOverflowError
from sdt_lava.ir.numerics import (
    ACTIVATION_LIMIT,
    INT32_HIGH,
    INT32_LOW,
    PAYLOAD_LIMIT,
    STATE_LIMIT,
    IntArray,
)

_REMEDY = "export again with calibration data like this input, or simulate with strict=False"


@dataclass(frozen=True)
class Register:
    """Register that holds a value.

    Parameters
    ----------
    low, high : int
        Lowest and highest value that fits.
    described : str
        Description for errors.
    """

    low: int
    high: int
    described: str


# 24-bit two's complement.
SUM24 = Register(-STATE_LIMIT - 1, STATE_LIMIT, "24-bit sum of a convolution")
SUM32 = Register(INT32_LOW, INT32_HIGH, "32-bit sum of a connection")
PAYLOAD = Register(-PAYLOAD_LIMIT, PAYLOAD_LIMIT, "24-bit payload")
ACTIVATION = Register(-ACTIVATION_LIMIT, ACTIVATION_LIMIT, "24-bit state")
STATE = Register(-STATE_LIMIT, STATE_LIMIT, "24-bit state")


@dataclass
class Watch:
    """Recorder of the first value of a run that does not fit its register.

    Values are ordered by sample, then step, then node in topological order. No value before the
    first one has been wrapped, and the result does not depend on how samples are split into
    batches.

    Parameters
    ----------
    order : sequence of str
        Names of the nodes in topological order.
    """

    order: Sequence[str]
    first: tuple[int, int, int] | None = None
    error: NumericOverflowError | None = None
    _places: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._places = {name: place for place, name in enumerate(self.order)}

    def look(
        self, name: str, what: str, values: NDArray[Any], register: Register, step: int = 0
    ) -> bool:
        """Check values of some steps and return whether all of them fit.

        Parameters
        ----------
        name : str
            Name of the node.
        what : str
            Description of the values, for the error.
        values : ndarray of int64
            Values ``(T, B, ...)``.
        register : Register
            Register of the values.
        step : int
            Step of the first values.
        """
        if not values.size:
            return True
        if values.min() >= register.low and values.max() <= register.high:
            return True
        outside = (values < register.low) | (values > register.high)
        by_sample = outside.any(axis=tuple(range(2, values.ndim))).T
        sample, at = divmod(int(np.argmax(by_sample)), by_sample.shape[1])
        key = sample, step + at, self._places.get(name, len(self._places))
        if self.first is None or key < self.first:
            self.first = key
            sample_values = values[at, sample]
            largest = max(int(sample_values.max()), -int(sample_values.min()))
            allowed = f"at most {register.high} ({register.described})"
            where = f"{name!r}, step {step + at}"
            self.error = NumericOverflowError(where, f"{what} of {largest}", allowed, _REMEDY)
        return False

    def raise_first(self) -> None:
        """Raise an error if a value did not fit.

        Raises
        ------
        NumericOverflowError
            For the first value that did not fit.
        """
        if self.error is not None:
            raise self.error


def later(error: NumericOverflowError, steps: int) -> NumericOverflowError:
    """Return an error of a part of a stream with the step counted from the stream's start."""
    node, _, step = error.where.rpartition(", step ")
    where = f"{node}, step {int(step) + steps}"
    return NumericOverflowError(where, error.found, error.allowed, error.remedy)


def look_at_neurons(
    watch: Watch,
    name: str,
    step: int,
    *,
    activation: IntArray,
    current: IntArray | None,
    peak: IntArray,
) -> None:
    """Check the input of neurons in a step, u before wrapping and v before saturation.

    Parameters
    ----------
    watch : Watch
        Watch that records values that do not fit.
    name : str
        Name of the population.
    step : int
        Index of the step.
    activation, current, peak : ndarray of int64
        Values ``(B, ...)``; no current if u has no memory and equals the activation.
    """
    watch.look(name, "activation", activation[None], ACTIVATION, step)
    if current is not None:
        watch.look(name, "current", current[None], STATE, step)
    watch.look(name, "membrane", peak[None], STATE, step)
