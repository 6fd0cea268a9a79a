"""Run blocks as one program: in each time step, all populations and then all connections."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from sdt_lava.backends.lava.processes.fused.connections import (
    Link,
    MatrixTable,
    is_in_table,
    link_function,
)
from sdt_lava.backends.lava.processes.fused.populations import (
    Member,
    Region,
    dendrite_shape,
    group_class,
    group_key,
)
from sdt_lava.compiler.partition import BlockContent, Connection
from sdt_lava.ir import Shape
from sdt_lava.kernels.signals import PLACE, transpose
from sdt_lava.support.allocation import placed, zeros


class FusedProgram:
    """Program of the populations and connections of blocks.

    Every connection takes at least one step. Therefore, populations depend only on events of
    earlier steps, so they can run in any order, even in recurrent networks.

    Parameters
    ----------
    contents : sequence of BlockContent
        Blocks of the program.
    """

    def __init__(self, contents: Sequence[BlockContent]) -> None:
        self._shapes = {
            name: shape for content in contents for name, shape in content.shapes.items()
        }
        self._signals: dict[str, Region] = {}
        self._dendrites: dict[str, Region] = {}
        self._sizes = [0, 0]  # of signals and dendrites so far
        self._groups = [self._place(members) for members in _grouped(contents)]
        for name in dict.fromkeys(source for content in contents for source in content.sources):
            if name not in self._signals:
                self._place_signal(name, self._shapes[name])
        connections = [connection for content in contents for connection in content.connections]
        steps = 1 + max((connection.delay for connection in connections), default=0)
        self._values = zeros(self._sizes[0], np.int32)
        self._arriving = zeros((steps, self._sizes[1]), np.int32)
        self._step = 0
        self._connect(connections)

    def _place(self, members: Sequence[Any]) -> tuple[Any, slice, slice]:
        """Allocate consecutive regions for the populations of a group and create the group."""
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

    def places(self, names: Sequence[str]) -> Any:
        """Return the places of signals for :meth:`take`, which joins them in Lava's order."""
        regions = [self._signals[name] for name in names]
        ends = np.cumsum([0, *(region.size for region in regions)])
        table = [
            (region.start, region.size // region.shape[0], region.shape[0], end)
            for region, end in zip(regions, ends[:-1], strict=True)
        ]
        return placed(np.array(table, PLACE))

    def take(self, places: Any, out: Any) -> None:
        """Copy signals from their places to an array."""
        transpose(self._values, places, out)

    def entry(self, name: str) -> Any:
        """Return the place of an external signal for :meth:`put`."""
        region = self._signals[name]
        channels = region.shape[0]
        return placed(np.array([(0, channels, region.size // channels, region.start)], PLACE))

    def put(self, entry: Any, values: Any) -> None:
        """Set the values of an external signal."""
        transpose(values, entry, self._values)

    def advance(self, time_step: int) -> None:
        """Advance all populations by one step with the arrived sums; Lava's steps start at 1."""
        arrived = self._arriving[self._step % len(self._arriving)]
        for group, dendrites, signals in self._groups:
            group.fire(arrived[dendrites], self._values[signals], time_step)
        arrived.fill(0)
        self._step += 1

    def propagate(self) -> None:
        """Add the events of this step to the sums of the following steps."""
        if self._table is not None:
            self._table.propagate(self._values, self._arriving, self._step)
        for source, target, delay, add in self._others:
            arriving = self._arriving[(self._step + delay) % len(self._arriving)]
            add(self._values[source], arriving[target])


def _grouped(contents: Sequence[BlockContent]) -> list[list[Any]]:
    groups: dict[Hashable, list[Any]] = {}
    for content in contents:
        for node in content.populations:
            group_class(node)  # raises an error first if there is no fused form
            groups.setdefault(group_key(node), []).append((node, content.schedule))
    return list(groups.values())
