"""Populations of a fused model, in groups that take a time step together.

Signals ``(C, H, W)`` are kept in the order ``(H, W, C)``, in which the weights of an event lie side
by side, and only brought to Lava's order where they leave the model.
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
from sdt_lava.kernels.populations import integrate, lif_arrays, relay
from sdt_lava.kernels.tables import channels_last
from sdt_lava.support.allocation import zeros

# Below every current, so that padding never wins.
_BELOW_ALL = np.iinfo(np.int32).min


@dataclass(frozen=True)
class Region:
    """Where a signal lies in the array of all signals.

    Parameters
    ----------
    start : int
        First index.
    shape : tuple of int
        ``(C, ...)``.
    """

    start: int
    shape: Shape

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))

    @property
    def slice(self) -> slice:
        """All of its indices."""
        return slice(self.start, self.start + self.size)


@dataclass(frozen=True)
class Member:
    """A population in a group.

    Parameters
    ----------
    node : Node
        What it computes.
    region : Region
        Where it lies among the group's neurons.
    schedule : Schedule
        Timing of the network.
    """

    node: Any
    region: Region
    schedule: Schedule


class FusedLifs:
    """Leaky integrate-and-fire neurons: those with memory, and gates."""

    def __init__(self, members: Sequence[Member]) -> None:
        # Fields have one value, or one for each channel; channels are neighbours.
        self._parameters = lif_arrays(
            [(member.region.size, _lif_fields(member.node)) for member in members]
        )
        size = sum(member.region.size for member in members)
        has_memory = self._parameters.parts[:, -1].any()
        self._current = zeros(size if has_memory else 0, np.int32)
        self._voltage = zeros(size, np.int32)
        self._resets: dict[int, list[slice]] = {}
        for member in members:
            if not isinstance(member.node, Gate):  # gates have nothing to reset
                offset = member.schedule.reset_offset(member.node.name)
                self._resets.setdefault(offset, []).append(member.region.slice)
        self._interval = members[0].schedule.reset_interval

    def fire(self, activation: Any, values: Any, time_step: int) -> None:
        """Integrate what has arrived, after a reset where it is time, and write spikes."""
        for part in self._resets.get(time_step % self._interval, ()):
            self._current[part] = 0
            self._voltage[part] = 0
        integrate(activation, self._current, self._voltage, *self._parameters, values)


def _lif_fields(node: SpikingNeurons | Gate) -> tuple[Any, Any, Any, Any]:
    """Return bias, what is left of u and v after a step in 1/4096, and threshold."""
    threshold = np.asarray(node.threshold, np.int64) << ACTIVATION_SHIFT
    if isinstance(node, Gate):
        return 0, 0, DECAY_UNITY - GATE_DECAY, threshold
    bias = 0 if node.bias is None else np.asarray(node.bias, np.int64) << node.bias_exponent
    kept_current = DECAY_UNITY - np.asarray(node.current_decay)
    return bias, kept_current, DECAY_UNITY - np.asarray(node.voltage_decay), threshold


class CubaGroup:
    """Neurons of one population with recurrence, delays or a shifted drive."""

    def __init__(self, members: Sequence[Member]) -> None:
        (member,) = members
        node, shape, schedule = member.node, member.region.shape, member.schedule
        self._population = node.population((1, *shape))
        self._order = channels_last(shape)
        self._batch = (1, *shape)
        self._interval, self._offset = schedule.reset_interval, schedule.reset_offset(node.name)

    def fire(self, activation: Any, values: Any, time_step: int) -> None:
        """Advance, after a reset if it is time, and write the spikes that leave."""
        if time_step % self._interval == self._offset:
            self._population.reset()
        arrived = activation[self._order].reshape(self._batch).astype(np.int64)
        values[self._order] = self._population.step(arrived)[0].reshape(-1)


class SigmaDeltaGroup:
    """Sigma-delta neurons of one population, with a reset or without."""

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
        """Advance, after a reset if it is time, and write the messages."""
        if self._start is not None and time_step % self._interval == self._offset:
            self._population.state = self._start
        arrived = activation[self._order].reshape(self._batch)
        values[self._order] = self._population.step(arrived)[0].reshape(-1)


class RelayGroup:
    """Neurons that send their sum on."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._voltage = zeros(sum(member.region.size for member in members), np.int32)

    def fire(self, activation: Any, values: Any, time_step: int) -> None:
        """Send what has arrived."""
        relay(activation, self._voltage, 0, values)


class MaxRelayGroup:
    """Neurons of one population that send on the largest sum of a window."""

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
        """Send the maximum of every window."""
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
# Groups of one population each.
_ALONE = (CubaGroup, MaxRelayGroup, SigmaDeltaGroup)


def group_class(node: Node) -> type[Any]:
    """Return the class of the group that a population belongs to.

    Raises
    ------
    CompileError
        If there is no fused form of it.
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
    """Return what populations of one group have in common."""
    group = group_class(node)
    return group, node.name if group in _ALONE else ""


def dendrite_shape(node: Node, shape: Shape) -> Shape:
    """Return the shape of what arrives at a population that sends signals of some shape."""
    return node.input_shape if isinstance(node, MaxRelay) else shape
