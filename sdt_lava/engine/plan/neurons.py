"""Prepare neurons of a plan: parameters for the kernels and the cheapest exact form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.engine.layout import LANES, Layout
from sdt_lava.ir import SpikingNeurons
from sdt_lava.ir.bounds import Extremes
from sdt_lava.ir.numerics import (
    ACTIVATION_LIMIT,
    ACTIVATION_SHIFT,
    DECAY_SHIFT,
    DECAY_UNITY,
    STATE_LIMIT,
    IntArray,
)
from sdt_lava.kernels.lif import FORMS

_PARAMETERS = 6
# Largest drive for which all intermediate values fit 32 bits, without and with memory in u.
_DRIVE_LIMIT = 2**30 - 1
_MEMORY_LIMIT = 2**24
_BIAS_LIMIT = 2**29
_LEAKY = frozenset({"leaky", "watched leaky"})
_LARGEST_PRODUCT = 2**31 - DECAY_UNITY
_HALF = DECAY_UNITY // 2
_NEVER = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Neurons:
    """Neurons that read the same current.

    Parameters
    ----------
    names : tuple of str
        Names of the populations, in the order of their channels.
    form : str
        Form of the neurons; see kernels.lif.
    parameters : ndarray of int64
        Parameters ``(4, C)``: aligned bias, aligned threshold, and remainders of v and u after the
        leak.
    """

    names: tuple[str, ...]
    form: str
    parameters: IntArray = field(repr=False)


def neurons_of(
    node: SpikingNeurons, layout: Layout, bound: Extremes, *, tracked: bool
) -> Neurons | None:
    """Prepare a population, or return None if the kernels cannot compute it exactly.

    Parameters
    ----------
    node : SpikingNeurons
        Node of the population.
    layout : Layout
        Layout of the population.
    bound : Extremes
        Bound on the values that it can reach.
    tracked : bool
        Whether extremes are needed even if they are proven to fit.
    """
    if not node.is_plain:
        return None
    rows = (
        np.asarray(0 if node.bias is None else node.bias, np.int64) << node.bias_exponent,
        np.asarray(node.threshold, np.int64) << ACTIVATION_SHIFT,
        DECAY_UNITY - np.asarray(node.voltage_decay, np.int64),
        DECAY_UNITY - np.asarray(node.current_decay, np.int64),
    )
    parameters = np.stack([np.broadcast_to(row, (layout.channels,)) for row in rows])
    form = _form(parameters, bound, tracked)
    if form is None:
        return None
    # States never exceed their limit, so larger thresholds are never reached and can be clipped.
    parameters[1] = np.clip(parameters[1], -_NEVER, _NEVER)
    return Neurons((node.name,), form, parameters)


def _form(parameters: IntArray, bound: Extremes, tracked: bool) -> str | None:
    drive = bound.activation << ACTIVATION_SHIFT
    bias, _, remainder_v, remainder_u = parameters
    forgets = not remainder_u.any()
    halves = forgets and bool((remainder_v == _HALF).all())
    factor = int(_fractions(remainder_v)[0].max(initial=0))
    proved = bound.activation <= ACTIVATION_LIMIT and bound.membrane <= STATE_LIMIT
    if forgets and proved and not tracked:
        if halves:
            return "proved"
        if factor * bound.membrane <= _LARGEST_PRODUCT:
            return "leaky"
    if drive > (_DRIVE_LIMIT if forgets else _MEMORY_LIMIT):
        return None
    if np.abs(bias).max(initial=0) > _BIAS_LIMIT:
        return None
    if halves:
        return "watched"
    is_short = forgets and factor * STATE_LIMIT <= _LARGEST_PRODUCT
    return "watched leaky" if is_short else "general"


def joint_form(*forms: str) -> str:
    """Return the cheapest form that covers all of the given forms."""
    order = list(FORMS)
    largest = max(forms, key=order.index)
    # These two forms assume a leak of one half.
    any_leak = {"watched": "watched leaky", "checked": "general"}
    is_leaky = not _LEAKY.isdisjoint(forms)
    return any_leak.get(largest, largest) if is_leaky else largest


def _fractions(kept: IntArray) -> tuple[IntArray, IntArray]:
    """Reduce fractions of 4096 to lowest terms: factors and exponents of the divisors."""
    shift = np.full_like(kept, DECAY_SHIFT)
    for _ in range(DECAY_SHIFT):
        even = (kept % 2 == 0) & (shift > 0)
        kept, shift = np.where(even, kept // 2, kept), shift - even
    return kept, shift


def side_by_side(parts: list[Neurons]) -> Neurons:
    """Join populations with consecutive channels."""
    return Neurons(
        names=tuple(name for part in parts for name in part.names),
        form=joint_form(*(part.form for part in parts)),
        parameters=np.concatenate([part.parameters for part in parts], axis=1),
    )


def halves_exactly(shift: Any, neurons: Neurons, steps: int) -> bool:
    """Return whether v is even whenever it is halved, in a run from rest.

    The terms added to v are multiples of a power of two, which each step halves.

    Parameters
    ----------
    shift : int or ndarray
        Exponent of the sums by channel.
    neurons : Neurons
        Neurons whose leak is one half.
    steps : int
        Number of steps of the run.
    """
    doublings = ACTIVATION_SHIFT + np.min(shift, initial=0)
    return bool(doublings >= steps - 1 and not np.any(neurons.parameters[0] % (1 << (steps - 1))))


def kernel_parameters(
    shift: Any, neurons: Neurons | None, layout: Layout, form: str
) -> NDArray[np.int32]:
    """Return the parameters of the kernels, ``(words, 6, 64)``; see kernels.neurons.

    Parameters
    ----------
    shift : int or ndarray
        Exponent of the sums by channel; negative ones divide.
    neurons : Neurons or None
        Neurons; None for a layer that only stores currents.
    layout : Layout
        Layout of the layer.
    form : str
        Form of the neurons.
    """
    table = np.zeros((_PARAMETERS, layout.padded), np.int64)
    channels = slice(0, layout.channels)
    shifts = np.broadcast_to(np.asarray(shift, np.int64), (layout.channels,))
    table[0, channels], table[1, channels] = np.maximum(shifts, 0), np.maximum(-shifts, 0)
    # Padding in the last word must not fire.
    table[3] = _NEVER
    if form == "bare":
        table[0, channels] += ACTIVATION_SHIFT
    if neurons is not None:
        table[2:, channels] = neurons.parameters
        if form in _LEAKY:
            table[4:, channels] = _fractions(neurons.parameters[2])
    by_word = table.reshape(_PARAMETERS, layout.words, LANES).transpose(1, 0, 2)
    return np.ascontiguousarray(by_word, np.int32)
