"""Compute the outcome of a batch with the interpreter if a plan cannot guarantee it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sdt_lava.engine.plan.plan import Outcome, Plan
from sdt_lava.ir.numerics import IntArray


def wanted(plan: Plan) -> frozenset[str]:
    """Return the nodes whose output is needed for a plan's outcome."""
    return frozenset(plan.outputs) | plan.counted.keys()


def outcome_of(plan: Plan, values: Mapping[str, IntArray]) -> Outcome:
    """Return the outcome of a plan for given outputs of its nodes.

    Parameters
    ----------
    plan : Plan
        Plan that determines the contents of the outcome.
    values : mapping of str to ndarray
        Outputs ``(T, B, *shape)`` of the nodes from :func:`wanted`.
    """
    # The relay of a readout sends the sum without the bias, which the host adds.
    counts = {
        name: _counted(values[name] - plan.biases.get(name, 0), fan_out)
        for name, fan_out in plan.counted.items()
    }
    return replace(Outcome.of(values, plan.outputs), counts=counts)


def joined(parts: Iterable[Mapping[str, IntArray]]) -> dict[str, IntArray]:
    """Concatenate the samples of several parts."""
    all_parts = list(parts)
    return {
        name: np.concatenate([part[name] for part in all_parts], axis=1) for name in all_parts[0]
    }


def _counted(values: NDArray[np.int64], fan_out: IntArray) -> IntArray:
    """Count events and the synapses that they reach, ``(1 + n, T, B)``."""
    events = (values != 0).sum(axis=2)
    while events.ndim < 4:  # a vector is an image of one pixel
        events = events[..., None]
    reached = np.einsum("tbhw,nhw->ntb", events, fan_out)
    return np.concatenate([events.sum(axis=(2, 3))[None], reached]).astype(np.int64)
