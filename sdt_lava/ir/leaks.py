"""How far a leaking state gets under a push that never ends: closed forms instead of steps.

A state that keeps ``(4096 - loss) / 4096`` of itself, rounded towards zero, and gains ``push`` in
each step grows until ``ceil(state loss / 4096) = push``. It never jumps over the first value for
which this holds, so that value, ``floor((push - 1) 4096 / loss) + 1``, is where it settles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sdt_lava.ir.numerics import DECAY_UNITY, IntArray, decay, divide_by_power

# Runs up to this length are followed step by step.
EXACT_STEPS = 256
# What is left of longer runs is followed in so many parts, each with its largest current.
_PARTS = 64
# Where growth stops being followed: far beyond every register, and times 4096 it fits 64 bits.
_FAR = 1 << 50
# More than what adding and multiplying in float64 can lose.
_SLACK = 1e-9


@dataclass(frozen=True, eq=False)
class Climb:
    """What drives u and v to one side; arrays broadcast to channels.

    Parameters
    ----------
    push : ndarray of int64
        What a step adds to u, at least 0.
    bias : ndarray of int64
        What it adds to v besides u, of either sign.
    current_loss, voltage_loss : ndarray of int64
        Lost share of u and v in a step, in 1/4096.
    drive_shift : int
        The sum of u and bias is divided by ``2 ** drive_shift``.
    ceiling : ndarray of int64 or None
        The highest v that another step starts from; None if nothing resets it.
    """

    push: IntArray
    bias: IntArray
    current_loss: IntArray
    voltage_loss: IntArray
    drive_shift: int
    ceiling: IntArray | None

    def drive(self, current: IntArray) -> IntArray:
        """Return what a current adds to v."""
        far = _FAR >> max(-self.drive_shift, 0)
        return divide_by_power(np.clip(current + self.bias, -far, far), self.drive_shift)

    def start(self, top: IntArray) -> IntArray:
        """Return what is left, in the next step, of the furthest that v got."""
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
    """Bound how far u and v get from rest.

    Exact for channels whose leak lets them settle about as soon as the run ends, and then valid
    for any number of steps, and for runs of up to `EXACT_STEPS`; slightly too far in between.

    Parameters
    ----------
    climb : Climb
        What drives them.
    steps : int
        Length of the run.

    Returns
    -------
    current, voltage : ndarray of int64
        By channel.
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
    """Return what u and v reach, if v would get to `free` without a reset."""
    return current, np.maximum(climb.start(free) + climb.drive(current), 0)


def settled(push: IntArray, loss: IntArray) -> IntArray:
    """Return where a state settles that starts from 0; far away where there is no leak."""
    push = np.clip(push, 0, _FAR)
    push, loss = np.broadcast_arrays(push, np.asarray(loss, np.int64))
    # Divided first, as the product may not fit 64 bits.
    whole, rest = np.divmod(np.maximum(push - 1, 0), np.maximum(loss, 1))
    limit = whole * DECAY_UNITY + rest * DECAY_UNITY // np.maximum(loss, 1) + 1
    limit = np.where(loss == 0, _FAR, np.minimum(limit, _FAR))
    return np.where(push == 0, 0, limit).astype(np.int64)


def _later(state: IntArray, push: IntArray, loss: IntArray, steps: int) -> IntArray:
    """Bound a state some steps later: where it settles, or as if nothing were rounded."""
    push, loss = np.maximum(push, 0), np.asarray(loss, np.int64)
    kept = 1 - loss / DECAY_UNITY
    left = kept**steps
    summands = np.where(loss > 0, (1 - left) / np.maximum(loss / DECAY_UNITY, 1e-12), steps)
    grown = (state * left + push * summands) * (1 + _SLACK) + 1
    far = np.minimum(grown, float(_FAR)).astype(np.int64)
    # A push that has begun to act late may leave the state above where it would settle.
    return np.maximum(np.minimum(far, settled(push, loss)), state)
