"""Split convolutions with weight exponents into a sum of convolutions without.

On Loihi 2, the model of a convolution ignores its weight exponent (lava-nc/lava#803), and its
weights have 8 bits. ``weight * 2 ** exponent`` is therefore split into a sum of weights that fit,
in several convolutions with the same source and reader, whose dendrite sums them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from sdt_lava.ir import Conv, Graph, Node
from sdt_lava.ir.numerics import WEIGHT_LIMIT, power_shift


def split_convolutions(graph: Graph) -> Graph:
    """Replace every convolution with a weight exponent by convolutions without."""
    parts = {node.name: list(_parts(node)) for node in graph.of_type(Conv) if np.any(node.exponent)}
    nodes: list[Node] = []
    for node in graph:
        if node.name in parts:
            nodes.extend(parts[node.name])
            continue
        inputs = (parts.get(name, [graph.nodes[name]]) for name in node.inputs)
        nodes.append(replace(node, inputs=tuple(part.name for group in inputs for part in group)))
    return graph.rebuild(nodes)


def _parts(node: Conv) -> Iterator[Conv]:
    rest = power_shift(np.asarray(node.weight, np.int64), node.exponent, 0)
    number = 0
    while rest.any():
        # Even weights stay even because the limit is even.
        weight = np.clip(rest, -WEIGHT_LIMIT, WEIGHT_LIMIT)
        rest = rest - weight
        number += 1
        yield replace(
            node,
            name=node.name if number == 1 else f"{node.name}.part{number}",
            origin=node.origin or node.name,
            weight=weight,
            exponent=0,
        )
