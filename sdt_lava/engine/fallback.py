"""A batch that a plan cannot vouch for, as the interpreter computes it: the same outcome."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sdt_lava.engine.plan.plan import Outcome, Plan
from sdt_lava.ir.numerics import IntArray


def wanted(plan: Plan) -> frozenset[str]:
    """Return the nodes whose output a plan's outcome is made from."""
    return frozenset(plan.outputs) | plan.counted.keys()


def outcome_of(plan: Plan, values: Mapping[str, IntArray]) -> Outcome:
    """Return what the plan would have returned for the output of its nodes.

    Parameters
    ----------
    plan : Plan
        Whose outcome it is.
    values : mapping of str to ndarray
        ``(T, B, *shape)`` of the nodes that :func:`wanted` names.
    """
    # A readout's relay sends the sum without the bias, which the host adds.
    counts = {
        name: _counted(values[name] - plan.biases.get(name, 0), fan_out)
        for name, fan_out in plan.counted.items()
    }
    return replace(Outcome.of(values, plan.outputs), counts=counts)


def joined(parts: Iterable[Mapping[str, IntArray]]) -> dict[str, IntArray]:
    """Put the samples of several parts one after the other."""
    found = list(parts)
    return {name: np.concatenate([part[name] for part in found], axis=1) for name in found[0]}


def _counted(values: NDArray[np.int64], fan_out: IntArray) -> IntArray:
    """Count events and what they reach, ``(1 + n, T, B)``."""
    events = (values != 0).sum(axis=2)
    while events.ndim < 4:  # a vector is an image of one pixel
        events = events[..., None]
    reached = np.einsum("tbhw,nhw->ntb", events, fan_out)
    return np.concatenate([events.sum(axis=(2, 3))[None], reached]).astype(np.int64)
