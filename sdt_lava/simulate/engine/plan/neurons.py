"""Neurons of a plan: their parameters as the kernels want them, and which kernel is exact."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.graph import CubaLif, Lif
from sdt_lava.numerics import (
    ACTIVATION_LIMIT,
    ACTIVATION_SHIFT,
    DECAY_UNITY,
    STATE_LIMIT,
    IntArray,
)
from sdt_lava.quantize.bounds import Extremes
from sdt_lava.simulate.engine.layout import LANES, Layout

# The kernels' numbers of the ways to compute a neuron, see kernels.neurons.
MODES = ("proved", "watched", "checked", "general")
_PARAMETERS = 6
# Largest drive for which 32 bits hold every intermediate value: without memory in u, and with.
_DRIVE_LIMIT = 2**30 - 1
_MEMORY_LIMIT = 2**24
_BIAS_LIMIT = 2**29
_HALF = DECAY_UNITY // 2
_NEVER = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Neurons:
    """Neurons that read one current.

    Parameters
    ----------
    names : tuple of str
        Populations, side by side.
    mode : int
        Index into ``MODES``.
    parameters : ndarray of int64
        ``(4, C)``: aligned bias, aligned threshold, what the leaks keep of v and u.
    """

    names: tuple[str, ...]
    mode: int
    parameters: IntArray = field(repr=False)


def neurons_of(
    node: Lif | CubaLif, layout: Layout, bound: Extremes, *, strict: bool, tracked: bool
) -> Neurons | None:
    """Prepare a population; None if the kernels cannot compute it exactly.

    Parameters
    ----------
    node : Lif or CubaLif
        The population.
    layout : Layout
        Its shape.
    bound : Extremes
        What it can reach.
    strict : bool
        Whether a run ends at the first value out of range.
    tracked : bool
        Whether its extremes are wanted even where they are proved to be harmless.
    """
    if isinstance(node, CubaLif) and not node.is_plain:
        return None
    rows = (
        np.asarray(0 if node.bias is None else node.bias, np.int64) << node.bias_exponent,
        np.asarray(node.threshold, np.int64) << ACTIVATION_SHIFT,
        DECAY_UNITY - np.asarray(node.voltage_decay, np.int64),
        DECAY_UNITY - np.asarray(node.current_decay, np.int64),
    )
    parameters = np.stack([np.broadcast_to(row, (layout.channels,)) for row in rows])
    mode = _mode(parameters, bound, strict, tracked)
    if mode is None:
        return None
    # The state never exceeds its limit: a threshold beyond it is one that is never reached.
    parameters[1] = np.clip(parameters[1], -_NEVER, _NEVER)
    return Neurons((node.name,), mode, parameters)


def _mode(parameters: IntArray, bound: Extremes, strict: bool, tracked: bool) -> int | None:
    drive = bound.activation << ACTIVATION_SHIFT
    bias, _, kept_v, kept_u = parameters
    plain = bool((kept_v == _HALF).all() and (kept_u == 0).all())
    proved = bound.activation <= ACTIVATION_LIMIT and bound.membrane <= STATE_LIMIT
    if plain and proved and not tracked:
        return MODES.index("proved")
    limit = _MEMORY_LIMIT if kept_u.any() else _DRIVE_LIMIT
    if drive > limit or np.abs(bias).max(initial=0) > _BIAS_LIMIT:
        return None
    if not plain:
        return MODES.index("general")
    return MODES.index("watched" if strict else "checked")


def side_by_side(parts: list[Neurons]) -> Neurons:
    """Join populations whose channels follow one another."""
    return Neurons(
        names=tuple(name for part in parts for name in part.names),
        mode=max(part.mode for part in parts),
        parameters=np.concatenate([part.parameters for part in parts], axis=1),
    )


def kernel_parameters(shift: Any, neurons: Neurons | None, layout: Layout) -> NDArray[np.int32]:
    """Return ``(words, 6, 64)``, see kernels.neurons.

    Parameters
    ----------
    shift : int or ndarray
        Doublings of the sums, by channel; negative ones divide.
    neurons : Neurons or None
        None for a layer that only stores currents.
    layout : Layout
        Shape of the layer.
    """
    table = np.zeros((_PARAMETERS, layout.padded), np.int64)
    channels = slice(0, layout.channels)
    shifts = np.broadcast_to(np.asarray(shift, np.int64), (layout.channels,))
    table[0, channels], table[1, channels] = np.maximum(shifts, 0), np.maximum(-shifts, 0)
    # What fills up the last word must not fire.
    table[3] = _NEVER
    if neurons is not None:
        table[2:, channels] = neurons.parameters
    by_word = table.reshape(_PARAMETERS, layout.words, LANES).transpose(1, 0, 2)
    return np.ascontiguousarray(by_word, np.int32)
