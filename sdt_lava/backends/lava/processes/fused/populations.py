"""Advance the populations of a fused model, in groups that compute a time step together.

Signals ``(C, H, W)`` are stored in the order ``(H, W, C)``, in which the weights of an event are
contiguous. They are converted to Lava's order only when they leave the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from sdt_lava.compiler.schedule import Schedule
from sdt_lava.errors import CompileError
from sdt_lava.ir import (
    CubaLif,
    Delta,
    Gate,
    Lif,
    MaxRelay,
    Node,
    Relay,
    Shape,
    Sigma,
    SigmaDelta,
    SpikingNeurons,
)
from sdt_lava.ir.numerics import ACTIVATION_SHIFT, DECAY_UNITY, GATE_DECAY
from sdt_lava.kernels.jit import resolved
from sdt_lava.kernels.matrices import channels_last
from sdt_lava.kernels.populations import integrate, population_table, relay
from sdt_lava.support.allocation import zeros

# Below every current, so that padding is never the maximum.
_BELOW_ALL = np.iinfo(np.int32).min


@dataclass(frozen=True)
class Region:
    """Region of a signal in the array of all signals.

    Parameters
    ----------
    start : int
        First index of the region.
    shape : tuple of int
        Shape of the signal, ``(C, ...)``.
    """

    start: int
    shape: Shape

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))

    @property
    def slice(self) -> slice:
        """Slice of the region's indices."""
        return slice(self.start, self.start + self.size)


@dataclass(frozen=True)
class Member:
    """A population in a group.

    Parameters
    ----------
    node : Node
        Node of the population.
    region : Region
        Region of the population among the group's neurons.
    schedule : Schedule
        Timing of the network.
    """

    node: Any
    region: Region
    schedule: Schedule


class FusedLifs:
    """Group of leaky integrate-and-fire neurons, with or without memory, and gates."""

    def __init__(self, members: Sequence[Member]) -> None:
        # Fields have one value, or one for each channel; channels are contiguous.
        self._table = population_table(
            [(member.region.size, _lif_fields(member.node)) for member in members]
        )
        size = sum(member.region.size for member in members)
        has_memory = self._table.parts["has_memory"].any()
        self._current = zeros(size if has_memory else 0, np.int32)
        self._voltage = zeros(size, np.int32)
        self._integrate = resolved(integrate, *[self._voltage] * 3, self._table, self._voltage)
        self._resets: dict[int, list[slice]] = {}
        for member in members:
            if not isinstance(member.node, Gate):  # gates need no reset
                offset = member.schedule.reset_offset(member.node.name)
                self._resets.setdefault(offset, []).append(member.region.slice)
        self._interval = members[0].schedule.reset_interval

    def fire(self, activation: Any, values: Any, time_step: int) -> None:
        """Reset neurons if due, integrate the activation and write the spikes."""
        for part in self._resets.get(time_step % self._interval, ()):
            self._current[part] = 0
            self._voltage[part] = 0
        self._integrate(activation, self._current, self._voltage, self._table, values)


def _lif_fields(node: SpikingNeurons | Gate) -> tuple[Any, Any, Any, Any]:
    """Return bias, remainders of u and v after a step in 1/4096, and threshold."""
    threshold = np.asarray(node.threshold, np.int64) << ACTIVATION_SHIFT
    if isinstance(node, Gate):
        return 0, 0, DECAY_UNITY - GATE_DECAY, threshold
    bias = 0 if node.bias is None else np.asarray(node.bias, np.int64) << node.bias_exponent
    current_remainder = DECAY_UNITY - np.asarray(node.current_decay)
    return bias, current_remainder, DECAY_UNITY - np.asarray(node.voltage_decay), threshold


class CubaGroup:
    """Group of a single population of neurons with recurrence, delays or a shifted drive."""

    def __init__(self, members: Sequence[Member]) -> None:
        (member,) = members
        node, shape, schedule = member.node, member.region.shape, member.schedule
        self._population = node.population((1, *shape))
        self._order = channels_last(shape)
        self._batch = (1, *shape)
        self._interval, self._offset = schedule.reset_interval, schedule.reset_offset(node.name)

    def fire(self, activation: Any, values: Any, time_step: int) -> None:
        """Reset the neurons if due, advance them and write the spikes that are sent."""
        if time_step % self._interval == self._offset:
            self._population.reset()
        arrived = activation[self._order].reshape(self._batch).astype(np.int64)
        values[self._order] = self._population.step(arrived)[0].reshape(-1)


class SigmaDeltaGroup:
    """Group of a single population of sigma-delta neurons, with or without a reset."""

    def __init__(self, members: Sequence[Member]) -> None:
        (member,) = members
        node, schedule = member.node, member.schedule
        self._order = channels_last(member.region.shape)
        self._batch = (1, *member.region.shape)
        self._population = node.population(self._batch)
        self._interval, self._offset = schedule.reset_interval, schedule.reset_offset(node.name)
        start = schedule.starts.get(node.name)
        self._start = start and tuple(part.reshape(self._batch) for part in start)

    def fire(self, activation: Any, values: Any, time_step: int) -> None:
        """Reset the neurons if due, advance them and write the messages."""
        if self._start is not None and time_step % self._interval == self._offset:
            self._population.state = self._start
        arrived = activation[self._order].reshape(self._batch)
        values[self._order] = self._population.step(arrived)[0].reshape(-1)


class RelayGroup:
    """Group of neurons that forward their sum."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._voltage = zeros(sum(member.region.size for member in members), np.int32)

    def fire(self, activation: Any, values: Any, time_step: int) -> None:
        """Write the sums that arrived."""
        relay(activation, self._voltage, 0, values)


class MaxRelayGroup:
    """Group of a single population of neurons that forward the largest sum of a window."""

    def __init__(self, members: Sequence[Member]) -> None:
        (member,) = members
        node: MaxRelay = member.node
        channels, height, width = node.input_shape
        padding = node.padding
        border = (height + 2 * padding, width + 2 * padding, channels)
        self._padded = np.full(border, _BELOW_ALL, np.int32)
        self._inside = self._padded[padding : padding + height, padding : padding + width]
        window = (node.kernel, node.kernel)
        windows = sliding_window_view(self._padded, window, axis=(0, 1))  # type: ignore[call-overload]
        self._windows = windows[:: node.stride, :: node.stride]

    def fire(self, activation: Any, values: Any, time_step: int) -> None:
        """Write the maximum of every window."""
        self._inside[:] = activation.reshape(self._inside.shape)
        values[:] = self._windows.max(axis=(3, 4)).reshape(-1)


_GROUPS: dict[type[Node], type[Any]] = {
    Lif: FusedLifs,
    CubaLif: CubaGroup,
    Gate: FusedLifs,
    Relay: RelayGroup,
    MaxRelay: MaxRelayGroup,
    **dict.fromkeys((SigmaDelta, Delta, Sigma), SigmaDeltaGroup),
}
# Groups that hold a single population.
_ALONE = (CubaGroup, MaxRelayGroup, SigmaDeltaGroup)


def group_class(node: Node) -> type[Any]:
    """Return the group class for a population.

    Raises
    ------
    CompileError
        If the population has no fused form.
    """
    if type(node) not in _GROUPS:
        raise CompileError(
            f"population {node.name!r}",
            f"kind {node.kind}, which has no fused form",
            ", ".join(kind.kind for kind in _GROUPS),
            "use models='accelerated'",
        )
    return FusedLifs if isinstance(node, SpikingNeurons) and node.is_plain else _GROUPS[type(node)]


def group_key(node: Node) -> tuple[type[Any], str]:
    """Return the key that populations of one group share."""
    group = group_class(node)
    return group, node.name if group in _ALONE else ""


def dendrite_shape(node: Node, shape: Shape) -> Shape:
    """Return the input shape of a population with a given output shape."""
    return node.input_shape if isinstance(node, MaxRelay) else shape
