"""Bound how far a leaky state grows under a constant push, with closed forms.

Consider a state that decays to ``(4096 - loss) / 4096`` of itself, rounded towards zero, and gains
``push`` in each step. It grows until ``ceil(state loss / 4096) = push``. Since it never skips the
first value for which this holds, it settles there, at ``floor((push - 1) 4096 / loss) + 1``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sdt_lava.ir.numerics import DECAY_UNITY, IntArray, decay, divide_by_power

# Runs up to this length are computed step by step.
EXACT_STEPS = 256
# Number of parts into which the rest of longer runs is split, each with its largest current.
_PARTS = 64
# Limit of growth, far beyond every register; times 4096, it fits 64 bits.
_FAR = 1 << 50
# Bound on the rounding error of sums and products in float64.
_SLACK = 1e-9


@dataclass(frozen=True, eq=False)
class Climb:
    """Input that drives u and v in one direction; arrays broadcast to channels.

    Parameters
    ----------
    push : ndarray of int64
        Amount that a step adds to u, at least 0.
    bias : ndarray of int64
        Amount that a step adds to v in addition to u, of either sign.
    current_loss, voltage_loss : ndarray of int64
        Share of u and v that is lost in a step, in 1/4096.
    drive_shift : int
        Exponent by which the sum of u and bias is divided, ``2 ** drive_shift``.
    ceiling : ndarray of int64 or None
        Highest v from which another step starts; None if v is never reset.
    """

    push: IntArray
    bias: IntArray
    current_loss: IntArray
    voltage_loss: IntArray
    drive_shift: int
    ceiling: IntArray | None

    def drive(self, current: IntArray) -> IntArray:
        """Return the amount that a current adds to v."""
        far = _FAR >> max(-self.drive_shift, 0)
        return divide_by_power(np.clip(current + self.bias, -far, far), self.drive_shift)

    def start(self, top: IntArray) -> IntArray:
        """Return the remainder of the largest v in the next step."""
        reset = top if self.ceiling is None else np.minimum(top, self.ceiling)
        return decay(reset, self.voltage_loss)

    @property
    def at_rest(self) -> tuple[IntArray, IntArray]:
        """Return u and v before the first step."""
        shape = np.broadcast_shapes(
            *(np.shape(x) for x in (self.push, self.bias, self.current_loss, self.voltage_loss)),
            () if self.ceiling is None else np.shape(self.ceiling),
        )
        return np.zeros(shape, np.int64), np.zeros(shape, np.int64)


def reached(climb: Climb, steps: int) -> tuple[IntArray, IntArray]:
    """Bound how far u and v move from rest.

    The bound is exact for channels whose leak lets them settle by about the end of the run, for
    which it is valid for any number of steps, and for runs of up to `EXACT_STEPS`. In between, it
    is slightly too large.

    Parameters
    ----------
    climb : Climb
        Input that drives u and v.
    steps : int
        Number of steps of the run.

    Returns
    -------
    current, voltage : ndarray of int64
        Largest u and v by channel.
    """
    losses = min(int(np.min(climb.current_loss)), int(np.min(climb.voltage_loss)))
    if losses * steps >= DECAY_UNITY:
        current = settled(climb.push, climb.current_loss)
        return _topped(climb, current, settled(climb.drive(current), climb.voltage_loss))
    current, top = climb.at_rest
    for _ in range(min(steps, EXACT_STEPS)):
        current = np.minimum(decay(current, climb.current_loss) + climb.push, _FAR)
        top = np.minimum(np.maximum(top, climb.start(top) + climb.drive(current)), _FAR)
    if steps <= EXACT_STEPS:
        return current, top
    ends = np.unique(np.linspace(EXACT_STEPS, steps, _PARTS + 1).astype(int))
    for part in np.diff(ends).tolist():
        current = _later(current, climb.push, climb.current_loss, part)
        free = _later(top, climb.drive(current), climb.voltage_loss, part - 1)
        top = np.maximum(top, _topped(climb, current, free)[1])
    return current, top


def _topped(climb: Climb, current: IntArray, free: IntArray) -> tuple[IntArray, IntArray]:
    """Return the largest u and v if v would reach `free` without a reset."""
    return current, np.maximum(climb.start(free) + climb.drive(current), 0)


def settled(push: IntArray, loss: IntArray) -> IntArray:
    """Return where a state settles that starts at 0, which is far away without a leak."""
    push = np.clip(push, 0, _FAR)
    push, loss = np.broadcast_arrays(push, np.asarray(loss, np.int64))
    # Divide first, since the product may not fit 64 bits.
    whole, rest = np.divmod(np.maximum(push - 1, 0), np.maximum(loss, 1))
    limit = whole * DECAY_UNITY + rest * DECAY_UNITY // np.maximum(loss, 1) + 1
    limit = np.where(loss == 0, _FAR, np.minimum(limit, _FAR))
    return np.where(push == 0, 0, limit).astype(np.int64)


def _later(state: IntArray, push: IntArray, loss: IntArray, steps: int) -> IntArray:
    """Bound a state after some steps by where it settles, or by growth without rounding."""
    push, loss = np.maximum(push, 0), np.asarray(loss, np.int64)
    remaining_share = 1 - loss / DECAY_UNITY
    total_share = remaining_share**steps
    summands = np.where(loss > 0, (1 - total_share) / np.maximum(loss / DECAY_UNITY, 1e-12), steps)
    grown = (state * total_share + push * summands) * (1 + _SLACK) + 1
    far = np.minimum(grown, float(_FAR)).astype(np.int64)
    # If the push has decreased, the state may be above the value where it would settle.
    return np.maximum(np.minimum(far, settled(push, loss)), state)
