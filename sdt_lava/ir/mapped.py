"""Node kinds that only a compiled graph has: what Lava's standard processes compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sdt_lava.ir.base import CURRENTS, EVENTS, Node, Shape, Signal
from sdt_lava.ir.nodes import Conv, Pool, Sum
from sdt_lava.ir.numerics import IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True, kw_only=True, eq=False)
class Sparse(Node):
    """Any linear connection between two populations, written as a sparse matrix.

    ``current = (weight @ events.flatten()) * 2 ** exponent``, rounded down, in C order on both
    sides.

    Parameters
    ----------
    weight : csr_matrix
        ``(outputs, inputs)``, int32; explicit zeros are synapses like the others.
    shape : tuple of int
        Output shape.
    role : str
        What it does, for reports: 'synapse', 'mask', 'token_sum', 'pool', 'shortcut'.
    exponent : int or ndarray of int
        Weight exponent, one or one for each output channel (first axis of `shape`); a negative
        one shifts the sum to the right.
    convolution : Conv, optional
        What it is written for: this matrix, or this one and others with the same value, hold its
        synapses. Lava's CPU model wants the matrix; hardware would share the weights.
    """

    weight: csr_matrix
    shape: Shape
    role: str
    exponent: int | IntArray = 0
    convolution: Conv | None = None

    kind: ClassVar[str] = "sparse"
    accepts: ClassVar[frozenset[Signal]] = EVENTS

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the declared output shape."""
        sizes = int(np.prod(self.shape)), int(np.prod(shapes[0]))
        if self.weight.shape != sizes:
            raise self.mismatch(f"weight {self.weight.shape}", f"{sizes} (outputs, inputs)")
        if np.shape(self.exponent) not in ((), self.shape[:1]):
            found = f"weight exponents of shape {np.shape(self.exponent)}"
            raise self.mismatch(found, f"() or {self.shape[:1]}")
        return self.shape


@dataclass(frozen=True, kw_only=True, eq=False)
class Gate(Sum):
    """Memoryless threshold neurons: a spike where the summed current exceeds ``threshold``.

    On Lava and Loihi these are LIF neurons with a voltage decay of 4095/4096.
    """

    threshold: int

    kind: ClassVar[str] = "gate"
    emits: ClassVar[Signal] = Signal.SPIKE


@dataclass(frozen=True, kw_only=True, eq=False)
class Relay(Sum):
    """Neurons that send their summed current on as graded spikes, unchanged."""

    kind: ClassVar[str] = "relay"
    emits: ClassVar[Signal] = Signal.GRADED


@dataclass(frozen=True, kw_only=True, eq=False)
class MaxRelay(Pool):
    """Relay neurons that send on the largest current of each window, as graded spikes.

    There is no standard process for it: the CPU simulator runs one of our own.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of the currents, before pooling.
    """

    input_shape: Shape

    kind: ClassVar[str] = "max_relay"
    accepts: ClassVar[frozenset[Signal]] = CURRENTS
    emits: ClassVar[Signal] = Signal.GRADED
    max_inputs: ClassVar[int | None] = None

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return ``(C, H', W')``."""
        if set(shapes) != {self.input_shape}:
            raise self.mismatch(f"currents of shapes {list(shapes)}", str(self.input_shape))
        return super().output_shape(shapes)
