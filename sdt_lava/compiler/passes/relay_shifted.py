"""Relay the sums of convolutions that are shifted to the right and stay convolutions.

Lava's Conv cannot shift to the right, and on Loihi 2 it ignores its weight exponent
(lava-nc/lava#803). A relay therefore takes the unshifted sum of 24 bits, and forwards it through a
connection of weight 1, which applies the exponent.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from sdt_lava.compiler.connections import identity
from sdt_lava.ir import Conv, Graph, Node, Relay, Sparse

RELAY_SUFFIX = ".sum"


def relay_shifted(graph: Graph, names: Collection[str]) -> Graph:
    """Insert a relay and a connection after convolutions, which lose their negative exponents.

    Parameters
    ----------
    graph : Graph
        Compiled graph.
    names : collection of str
        Names of the convolutions.
    """
    if not names:
        return graph
    links: dict[str, str] = {}
    nodes: list[Node] = []
    for node in graph:
        if isinstance(node, Conv) and node.name in names:
            (reader,) = graph.consumers[node.name]
            parts = _relayed(graph, node, reader)
            links[node.name] = parts[-1].name
            nodes.extend(parts)
        else:
            inputs = tuple(links.get(name, name) for name in node.inputs)
            nodes.append(replace(node, inputs=inputs))
    return graph.rebuild(nodes)


def unshifted(node: Conv) -> Conv:
    """Return a copy of a convolution without negative exponents."""
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
