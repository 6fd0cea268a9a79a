"""Hold the state of a conversion: the nodes so far, and the signal of each NIR population."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import nir

from sdt_lava.errors import NirError
from sdt_lava.importers.nir.layers import layer_operator
from sdt_lava.importers.nir.operators import Matrix, Operator, Reshape
from sdt_lava.importers.nir.populations import Arriving, Layout, Population, synapse_node
from sdt_lava.importers.nir.structure import Structure, Way
from sdt_lava.io.limits import limits, remedy
from sdt_lava.ir import Flatten, Node, Shape


@dataclass
class Maker:
    """Float graph under construction from a NIR graph.

    Parameters
    ----------
    source : nir.NIRGraph
        The graph.
    dt : float
        Time step [s].
    entry : tuple or None
        Scale, low and high of the input; None for a graph written by sdt-lava, whose metadata
        contain them.
    shape : tuple of int, optional
        Shape of the input, if the caller gives it.

    Attributes
    ----------
    notes : list of str
        Notes about everything that was omitted, rounded or moved.
    metadata : dict
        Metadata of the NIR nodes by name.
    """

    source: nir.NIRGraph
    dt: float
    entry: tuple[float, int, int] | None
    shape: Shape | None = None
    notes: list[str] = field(default_factory=list)
    metadata: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    sent: dict[str, Population] = field(default_factory=dict)
    layers: dict[str, Operator] = field(default_factory=dict)
    structure: Structure = field(init=False)

    @property
    def exact(self) -> bool:
        """Whether sdt-lava wrote the graph, so that every node keeps its kind."""
        return self.entry is None

    def add(self, node: Node, main: str = "") -> None:
        """Append a node, with the texts of a NIR node, by default the one of the same name."""
        metadata = self.metadata.get(main or node.name, {})
        for key in ("block", "origin"):
            text = metadata.get(key)
            if isinstance(text, str) and not getattr(node, key):
                node = replace(node, **{key: text})  # type: ignore[arg-type]
        shape = node.output_shape([self.shapes[name] for name in node.inputs])
        most = limits().population
        if prod(shape) > most:
            raise NirError(node.name, f"{shape} outputs", f"at most {most}", remedy("population"))
        self.shapes[node.name] = shape
        self.nodes[node.name] = node

    def free_name(self, wanted: str) -> str:
        """Return a name that no present or future node has."""
        if wanted in self.structure.nodes and wanted not in self.nodes:
            return wanted
        name = wanted
        while name in self.nodes or name in self.structure.nodes:
            name += "_"
        return name

    def operators(self, way: Way, shape: Shape) -> tuple[list[Operator], Shape]:
        """Return the layers of a path as operators, and the shape after them."""
        operators = []
        for name in way.layers:
            layer = self.layers.get(name)
            if layer is None:
                layer = layer_operator(self.structure.nodes[name], name, shape)
                self.layers[name] = layer
            if layer.before != shape:
                raise NirError(
                    name, f"currents of shapes {layer.before} and {shape} that add up", "one shape"
                )
            operators.append(layer)
            shape = layer.after
        return operators, shape

    def arriving(self, name: str) -> tuple[list[Arriving], list[Arriving], Shape]:
        """Return the signals that a node receives from others and from itself, and its shape."""
        ways = self.structure.ways_to(name)
        others: list[Arriving] = []
        for way in ways:
            if way.source != name:
                sender = self.sent[way.source]
                operators, shape = self.operators(way, sender.shape)
                others.append(Arriving(sender.node, sender.shape, sender.ours, operators, shape))
        if not others:
            raise NirError(name, "neurons that read nothing", "a synapse before them")
        shape = others[0].after
        if any(arrives.after != shape for arrives in others):
            shapes = sorted({arrives.after for arrives in others})
            raise NirError(name, f"currents of shapes {shapes} that add up", "one shape")
        recurrent: list[Arriving] = []
        for way in ways:
            if way.source == name:
                operators, back = self.operators(way, shape)
                if back != shape:
                    raise NirError(name, f"{back} values that come back to {shape}", "one shape")
                recurrent.append(Arriving(name, shape, shape, operators, back))
        return others, recurrent, shape

    def add_synapses(self, name: str, arriving: list[Arriving], layout: Layout) -> list[str]:
        """Add the synapses of a population; return their names."""
        return [self._add_synapse(name, arrives, layout.convolves) for arrives in arriving]

    def _add_synapse(self, name: str, arrives: Arriving, convolves: bool) -> str:
        source = arrives.node
        weights = [layer for layer in arrives.layers if not isinstance(layer, Reshape)]
        main = weights[-1].name if weights else f"{name}.input"
        if len(weights) == 1 and isinstance(weights[0], Matrix):
            source = self.add_flattens(arrives)
        node = synapse_node(self.free_name(main), source, arrives, convolves, name)
        self.add(node, main)
        if len(weights) > 1:
            merged = ", ".join(layer.name for layer in weights[:-1])
            self.notes.append(f"{node.name}: one layer with {merged} before it")
        return node.name

    def add_flattens(self, arrives: Arriving) -> str:
        """Add the nodes that flatten an image before a matrix; return the name of the last node."""
        source = arrives.node
        for layer in arrives.layers:
            if not isinstance(layer, Reshape):
                break
            flattens = isinstance(self.structure.nodes.get(layer.name), nir.Flatten)
            if flattens and self.metadata[layer.name].get("implicit") is None:
                if layer.name not in self.nodes:
                    self.add(Flatten(name=layer.name, inputs=(source,)))
                source = layer.name
        return source
