"""Convolutions whose sums are shifted to the right, and that have to stay convolutions.

Lava's Conv cannot shift to the right, and on Loihi 2 it ignores its weight exponent
(lava-nc/lava#803). So a relay takes the sum as it is, which has 24 bits, and a connection of weight
1, whose exponent is applied, carries it on.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from sdt_lava.compiler.connections import identity
from sdt_lava.ir import Conv, Graph, Node, Relay, Sparse

RELAY_SUFFIX = ".sum"


def relay_shifted(graph: Graph, names: Collection[str]) -> Graph:
    """Put a relay and a connection behind some convolutions, which lose their negative exponents.

    Parameters
    ----------
    graph : Graph
        Compiled graph.
    names : collection of str
        Convolutions.
    """
    if not names:
        return graph
    links: dict[str, str] = {}
    nodes: list[Node] = []
    for node in graph:
        if isinstance(node, Conv) and node.name in names:
            (reader,) = graph.consumers[node.name]
            made = _relayed(graph, node, reader)
            links[node.name] = made[-1].name
            nodes.extend(made)
        else:
            inputs = tuple(links.get(name, name) for name in node.inputs)
            nodes.append(replace(node, inputs=inputs))
    return graph.rebuild(nodes)


def unshifted(node: Conv) -> Conv:
    """Return a convolution without its negative exponents."""
    exponents = np.maximum(node.channel_exponents, 0)
    return replace(node, exponent=exponents if np.ndim(node.exponent) else int(exponents.max()))


def _relayed(graph: Graph, node: Conv, reader: str) -> tuple[Conv, Relay, Sparse]:
    shape, origin = graph.shapes[node.name], node.origin or node.name
    relay = Relay(
        name=node.name + RELAY_SUFFIX, inputs=(node.name,), block=node.block, origin=origin
    )
    exponents = np.minimum(node.channel_exponents, 0)
    link = Sparse(
        name=f"{relay.name}->{reader}",
        inputs=(relay.name,),
        weight=identity(int(np.prod(shape)), 1),
        shape=shape,
        role="shortcut",
        block=node.block,
        origin=relay.name,
        exponent=exponents if np.ndim(node.exponent) else int(exponents.min()),
    )
    return unshifted(node), relay, link
