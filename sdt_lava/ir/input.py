"""Define the input of a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sdt_lava.ir.base import Node, Shape, Signal
from sdt_lava.ir.intervals import Interval


@dataclass(frozen=True, kw_only=True, eq=False)
class Input(Node):
    """Input of the network, with integers at every step.

    ``x_int = clip(rint(x * scale + offset), low, high)`` is computed once, before any back end
    runs.

    Parameters
    ----------
    shape : tuple of int
        Shape of one frame.
    scale : float
        Integer levels per unit of the real input.
    low, high : int
        Lowest and highest value; with ``(0, 1)``, the input consists of binary spikes.
    offset : float
        Integer that represents the real value 0.
    widens : bool
        Whether the range is an expectation rather than a limit, so that a simulation extends it to
        the data. Files of lava-dl do not specify the range of payloads.
    step : int
        Values between integers are rounded to multiples of `step`, while integers are not changed.
        Real input of sigma-delta networks is rounded to even numbers, as SLAYER does in training;
        integer input of lava-dl's netx is kept.
    """

    shape: Shape
    scale: float = 1.0
    low: int = 0
    high: int = 1
    offset: float = 0.0
    widens: bool = False
    step: int = 1

    kind: ClassVar[str] = "input"
    min_inputs: ClassVar[int] = 0
    max_inputs: ClassVar[int | None] = 0
    is_mappable: ClassVar[bool] = True

    def output_signal(self, signals: Sequence[Signal]) -> Signal:
        """Return spikes for binary input, otherwise graded spikes."""
        return Signal.SPIKE if (self.low, self.high) == (0, 1) else Signal.GRADED

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the declared shape."""
        if not self.shape or any(side < 1 for side in self.shape):
            raise self.mismatch(f"shape {self.shape}", "positive sides")
        return self.shape

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Return the declared range."""
        ones = np.ones(self.shape[0], np.int64)
        return Interval(self.low * ones, self.high * ones)
