"""Compile an integer graph to a plan: fuse nodes to operations and choose their kernels.

Nodes are visited in order. A layer is fused with the shortcut that adds its current to a stream,
and with the neurons that read the sum. Layers that read the same spikes and end in neurons, such as
q, k and v, are merged into one. Nodes that no kernel computes exactly remain separate and are
evaluated on tensors.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

from sdt_lava.engine.layout import INT32, Layout
from sdt_lava.engine.plan.buffers import Buffer, Spikes
from sdt_lava.engine.plan.choice import TableRoom
from sdt_lava.engine.plan.counting import CountOperation
from sdt_lava.engine.plan.entry import EnterOperation
from sdt_lava.engine.plan.neurons import Neurons, neurons_of
from sdt_lava.engine.plan.operation import Operation
from sdt_lava.engine.plan.signals import ConvertOperation, GenericOperation
from sdt_lava.engine.plan.watching import WatchOperation, to_watch
from sdt_lava.ir import Graph, Input, Node, Signal, SpikingNeurons
from sdt_lava.ir.bounds import Bounds, bound
from sdt_lava.ir.numerics import IntArray
from sdt_lava.ir.proof import unproved_currents
from sdt_lava.support.torch_use import TorchNeeded

logger = logging.getLogger(__name__)

Made = TypeVar("Made")
Lower = Callable[["Compiler", Any], bool]
LOWER: dict[type[Node], Lower] = {}


def lowers(kind: type[Node]) -> Callable[[Lower], Lower]:
    """Register a function that lowers a kind of node, or returns False if it cannot."""

    def register(function: Lower) -> Lower:
        LOWER[kind] = function
        return function

    return register


class Compiler:
    """State of a compilation.

    Parameters
    ----------
    graph : Graph
        Integer graph.
    keep : frozenset of str
        Nodes whose output is needed.
    counted : mapping of str to ndarray
        Nodes whose events are counted, with the fan-out of their positions, ``(n, H, W)``.
    tracked : bool
        Whether the extremes or states of all neurons are needed.
    kernels : str
        'auto', 'event' or the name of a dense kernel, which is used wherever it is exact.
    table_bytes : int
        Memory limit of kernel tables, for layers with a choice of kernels.
    with_torch : bool
        Whether torch may be used; otherwise, nodes that need it raise `TorchNeeded`.
    refused : frozenset of str
        Our own kernels that must not be used.
    """

    def __init__(
        self,
        graph: Graph,
        keep: frozenset[str],
        *,
        counted: Mapping[str, IntArray],
        tracked: bool,
        kernels: str,
        table_bytes: int,
        with_torch: bool = True,
        refused: frozenset[str] = frozenset(),
    ) -> None:
        self.with_torch, self.refused = with_torch, refused
        self.room = TableRoom(table_bytes)
        self.graph, self.kernels, self.counted = graph, kernels, counted
        self.tracked = tracked
        self.bounds: Bounds = bound(graph)
        limits = unproved_currents(graph, self.bounds)
        self.unproved = frozenset(limits)
        self._to_watch = to_watch(graph, self.bounds, limits)
        # Nodes whose output must be computed as a separate signal.
        self.keep = keep | counted.keys() | self._to_watch.keys()
        self.operations: list[Operation] = []
        self.spikes: dict[str, Spikes] = {}
        self.stored: dict[str, Buffer] = {}
        self.frames: dict[str, Buffer] = {}
        self.tensors: dict[str, Buffer] = {}
        self.done: set[str] = set()
        self._uncounted = set(self.counted)
        # Nodes computed since events were last counted.
        self._fresh: list[str] = []

    def compile(self) -> list[Operation]:
        """Return the operations in order."""
        for node in self.graph:
            if node.name not in self.done:
                lower = LOWER.get(type(node))
                if lower is None or not lower(self, node):
                    self._generic(node)
                self._finish(node.name)
                self._watch_done()
                self._count_done()
        return self.operations

    def _watch_done(self) -> None:
        """Add checks of computed signals whose range nothing else verifies."""
        for name in [name for name in self._to_watch if name in self.done]:
            limit = self._to_watch.pop(name)
            # On tensors, every node checks its own values.
            if name in self.tensors and name not in self.stored:
                continue
            source = self.read_current(name)
            assert source is not None
            self.add(WatchOperation(name, source, limit))

    def _count_done(self) -> None:
        """Add counts of events of computed signals, before their memory is reused."""
        fresh, self._fresh = self._fresh, []
        for name in fresh:
            if name not in self._uncounted:
                continue
            self._uncounted.remove(name)
            is_spikes = self.graph.signals[name] is Signal.SPIKE
            source = self.read_spikes(name) if is_spikes else self.read_current(name)
            assert source is not None
            self.add(CountOperation(name, source, self.counted[name]))

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return an object that is built once and shared by all plans of the graph."""
        if key not in self.graph.derived:
            self.graph.derived[key] = make()
        result: Made = self.graph.derived[key]
        return result

    def layout(self, name: str) -> Layout | None:
        """Return the layout of a node's output."""
        return Layout.of(self.graph.shapes[name])

    def range(self, name: str) -> tuple[int, int]:
        """Return the lowest and highest value that a node can emit."""
        low, high = self.bounds.intervals[name]
        return int(low.min(initial=0)), int(high.max(initial=0))

    def reach(self, name: str) -> int:
        """Return the largest magnitude that a node can emit."""
        low, high = self.range(name)
        return max(-low, high)

    def write_spikes(self, name: str, layout: Layout) -> Buffer:
        """Return a new buffer for the spikes of a node."""
        buffer = Buffer(name, layout, "spikes")
        self.spikes[name] = Spikes(buffer, layout)
        return buffer

    def write_current(self, name: str, layout: Layout) -> Buffer:
        """Return a new buffer for the currents of a node."""
        self.stored[name] = Buffer(name, layout, "currents")
        return self.stored[name]

    def add(self, operation: Operation) -> bool:
        """Append an operation and return True, as a lowering function does."""
        self.operations.append(operation)
        self._finish(*operation.nodes)
        return True

    def _finish(self, *names: str) -> None:
        self._fresh.extend(name for name in names if name not in self.done)
        self.done.update(names)

    def read_spikes(self, name: str) -> Spikes | None:
        """Return the packed spikes of a node, converting them if necessary."""
        layout = self.layout(name)
        if name not in self.spikes and layout is not None:
            if self.graph.signals[name] is not Signal.SPIKE:
                return None
            out = self.write_spikes(name, layout)
            is_entry = isinstance(self.graph.nodes[name], Input)
            source = self.tensors[name]
            self.add(EnterOperation(out) if is_entry else ConvertOperation((), source, out))
        return self.spikes.get(name)

    def read_frames(self, name: str, layout: Layout) -> Buffer:
        """Return the buffer of the input's payloads."""
        if name not in self.frames:
            self.frames[name] = Buffer(name, layout, "frames")
            self.add(EnterOperation(self.frames[name]))
        return self.frames[name]

    def read_current(self, name: str) -> Buffer | None:
        """Return the stored currents of a node, converting them if they fit 32 bits."""
        layout = self.layout(name)
        if name not in self.stored and layout is not None:
            if self.reach(name) >= INT32:
                return None
            source = self.tensors[name]
            out = self.write_current(name, layout)
            self.add(ConvertOperation((), source, out))
        return self.stored.get(name)

    def read_tensor(self, name: str) -> Buffer:
        """Return a node's output as a tensor ``(T, B, *shape)``."""
        source = self.spikes.get(name) or self.stored.get(name)
        if name not in self.tensors and source is None:
            # The node was omitted so far, because it should have been fused with another one.
            self._generic(self.graph.nodes[name])
        if name not in self.tensors and source is not None:
            self.tensors[name] = Buffer(f"{name} (tensor)", source.layout, "tensor")
            self.add(ConvertOperation((), source, self.tensors[name]))
        return self.tensors[name]

    def _generic(self, node: Node) -> None:
        if not self.with_torch:
            raise TorchNeeded(f"{node.name} ({node.kind}) has no kernel")
        sources = [self.read_tensor(name) for name in node.inputs]
        layout = self.layout(node.name) or Layout(1, 1, 1, self.graph.shapes[node.name])
        self.tensors[node.name] = Buffer(f"{node.name} (tensor)", layout, "tensor")
        self.add(GenericOperation(node, sources, self.tensors[node.name]))
        logger.debug("%s (%s): no kernel, evaluated as a tensor", node.name, node.kind)

    def neurons(self, node: Node, layout: Layout) -> Neurons | None:
        """Return the prepared neurons of a node, or None if the kernels cannot compute them."""
        if not isinstance(node, SpikingNeurons):
            return None
        bound = self.bounds.extremes[node.name]
        return neurons_of(node, layout, bound, tracked=self.tracked)
