"""The format of quantized weights: width, step and exponents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sdt_lava.errors import QuantizationError
from sdt_lava.importers.fold import FloatArray
from sdt_lava.ir.numerics import MAX_WEIGHT_EXPONENT, IntArray

MIN_BITS, MAX_BITS = 2, 8
FIRST_LAYERS = ("full", "fitted")


@dataclass(frozen=True)
class WeightFormat:
    """The format of integer weights as Loihi stores them: multiples of a step within +-254.

    Fewer bits mean coarser steps, not smaller numbers (``num_weight_bits`` of Lava's connections),
    so that thresholds and biases keep their resolution.

    Parameters
    ----------
    bits : int
        Width of a weight including its sign, 2 to 8.
    by_channel : bool
        Whether each output channel has its own exponent. The compiler creates one connection for
        each distinct exponent.
    first_layer : {'full', 'fitted'}
        How to make the sums of layers that read an image or counts fit 24 bits. They are shifted to
        the right, which takes a relay on Loihi 2, or the weights are so small that the sums fit,
        which leaves fewer steps than the width has.

    Raises
    ------
    QuantizationError
        If the width or the choice for first layers is not supported.
    """

    bits: int
    by_channel: bool = False
    first_layer: str = "full"

    def __post_init__(self) -> None:
        if not MIN_BITS <= self.bits <= MAX_BITS:
            raise QuantizationError("bits", str(self.bits), f"{MIN_BITS} to {MAX_BITS}")
        if self.first_layer not in FIRST_LAYERS:
            raise QuantizationError(
                "first_layer", repr(self.first_layer), " or ".join(map(repr, FIRST_LAYERS))
            )

    @property
    def mantissa(self) -> int:
        """Largest number of steps."""
        return 2 ** (self.bits - 1) - 1

    @property
    def step(self) -> int:
        """Distance between neighbouring weights."""
        return 2 ** (MAX_BITS + 1 - self.bits)

    @property
    def largest(self) -> int:
        """Largest weight."""
        return self.step * self.mantissa

    def round(self, scaled: FloatArray) -> IntArray:
        """Round scaled weights to the nearest step, clipping at the largest."""
        steps = np.clip(np.rint(scaled / self.step), -self.mantissa, self.mantissa)
        return (self.step * steps).astype(np.int64)

    def exponent(self, largest: float, least: int = 0) -> int:
        """Return the smallest exponent from ``least`` at which weights up to ``largest`` fit."""
        exponent = least
        while (
            np.rint(largest / 2.0**exponent / self.step) > self.mantissa
            and exponent < MAX_WEIGHT_EXPONENT
        ):
            exponent += 1
        return exponent

    def exponents(self, largest: FloatArray, least: int = 0) -> int | IntArray:
        """Return the smallest exponents at which scaled weights up to each value fit.

        The result is an integer instead of an array if all exponents are equal.
        """
        exponents = np.array([self.exponent(float(value), least) for value in largest], np.int64)
        return int(exponents[0]) if (exponents == exponents[0]).all() else exponents
