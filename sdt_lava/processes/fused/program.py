"""One or more blocks as one program: all populations, then all connections, once a time step."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from sdt_lava.compiler.partition import BlockPlan, Connection
from sdt_lava.graph import Shape
from sdt_lava.processes.fused.connections import Link, MatrixTable, is_in_table, link_function
from sdt_lava.processes.fused.populations import (
    Member,
    Region,
    dendrite_shape,
    group_class,
    group_key,
)
from sdt_lava.processes.kernels.tables import channels_last


class FusedProgram:
    """Populations and connections of some blocks.

    Every connection takes one step or more, so that the populations of a step depend on events of
    earlier steps only, in whatever order and in whatever circle they are connected.

    Parameters
    ----------
    plans : sequence of BlockPlan
        The blocks.
    """

    def __init__(self, plans: Sequence[BlockPlan]) -> None:
        self._shapes = {name: shape for plan in plans for name, shape in plan.shapes.items()}
        self._signals: dict[str, Region] = {}
        self._dendrites: dict[str, Region] = {}
        self._sizes = [0, 0]  # of signals and of dendrites so far
        self._groups = [self._place(members) for members in _grouped(plans)]
        for name in dict.fromkeys(source for plan in plans for source in plan.sources):
            if name not in self._signals:
                self._place_signal(name, self._shapes[name])
        connections = [connection for plan in plans for connection in plan.connections]
        steps = 1 + max((connection.delay for connection in connections), default=0)
        self._values = np.zeros(self._sizes[0], np.int32)
        self._arriving = np.zeros((steps, self._sizes[1]), np.int32)
        self._step = 0
        self._connect(connections)

    def _place(self, members: Sequence[Any]) -> tuple[Any, slice, slice]:
        """Give a group's populations their places, one after another, and make the group."""
        signal, dendrite = self._sizes
        placed = []
        for node, schedule in members:
            shape = self._shapes[node.name]
            arriving = dendrite_shape(node, shape)
            placed.append(Member(node, Region(self._sizes[0] - signal, shape), schedule))
            self._place_signal(node.name, shape)
            self._dendrites[node.name] = Region(self._sizes[1], arriving)
            self._sizes[1] += self._dendrites[node.name].size
        group = group_class(members[0][0])(placed)
        return group, slice(dendrite, self._sizes[1]), slice(signal, self._sizes[0])

    def _place_signal(self, name: str, shape: Shape) -> None:
        self._signals[name] = Region(self._sizes[0], shape)
        self._sizes[0] += self._signals[name].size

    def _connect(self, connections: Sequence[Connection]) -> None:
        links = [
            Link(connection, self._signals[connection.source], self._dendrites[connection.reader])
            for connection in connections
        ]
        in_table = [link for link in links if is_in_table(link)]
        self._table = MatrixTable(in_table) if in_table else None
        self._others = [
            (link.source.slice, link.target.slice, link.connection.delay, link_function(link))
            for link in links
            if not is_in_table(link)
        ]

    def order(self, names: Iterable[str]) -> Any:
        """Return the indices of some signals, one after another, each in Lava's order."""
        places = (self._signals[name] for name in names)
        return np.concatenate([place.start + channels_last(place.shape) for place in places])

    def put(self, order: Any, values: Any) -> None:
        """Set signals from outside, in the order given."""
        self._values[order] = values

    def take(self, order: Any, out: Any) -> None:
        """Read signals, in the order given."""
        np.take(self._values, order, out=out)

    def advance(self, time_step: int) -> None:
        """Let every population take what has arrived and send; Lava's time steps begin with 1."""
        arrived = self._arriving[self._step % len(self._arriving)]
        for group, dendrites, signals in self._groups:
            group.fire(arrived[dendrites], self._values[signals], time_step)
        arrived.fill(0)
        self._step += 1

    def propagate(self) -> None:
        """Add the events of this step to the sums of the next ones."""
        if self._table is not None:
            self._table.propagate(self._values, self._arriving, self._step)
        for source, target, delay, add in self._others:
            arriving = self._arriving[(self._step + delay) % len(self._arriving)]
            add(self._values[source], arriving[target])


def _grouped(plans: Sequence[BlockPlan]) -> list[list[Any]]:
    groups: dict[Hashable, list[Any]] = {}
    for plan in plans:
        for node in plan.populations:
            group_class(node)  # says what is wrong before anything else does
            groups.setdefault(group_key(node), []).append((node, plan.schedule))
    return list(groups.values())
