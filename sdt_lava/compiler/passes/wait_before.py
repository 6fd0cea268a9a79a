"""Move delays of convolutions that cannot be unrolled to a population before them.

Lava's Conv does not support delays. A matrix would, but it holds sums in 32 bits, while those of
the convolution wrap at 24 bits. If that could make a difference, a population that forwards the
events takes the delay instead.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from sdt_lava.compiler.connections import identity
from sdt_lava.compiler.passes.lower_pooling import POOL_THRESHOLD
from sdt_lava.compiler.passes.split_delays import DelaySplit
from sdt_lava.compiler.schedule import Schedule
from sdt_lava.ir import Gate, Graph, Node, Relay, Signal, Sparse
from sdt_lava.ir.numerics import POOL_WEIGHT


def wait_before(
    graph: Graph, schedule: Schedule, names: Collection[str]
) -> tuple[Graph, tuple[DelaySplit, ...], dict[str, int]]:
    """Remove the delays of the named convolutions by inserting populations before them.

    Parameters
    ----------
    graph : Graph
        Compiled graph.
    schedule : Schedule
        Schedule of the graph.
    names : collection of str
        Names of the convolutions; those without a delay are not changed.

    Returns
    -------
    graph : Graph
        Graph with the populations.
    splits : tuple of DelaySplit
        Delays that were moved.
    least : dict of str to int
        Delays of the connections into these populations, which the schedule must keep.
    """
    nodes: list[Node] = []
    splits, least = [], {}
    for node in graph:
        delay = schedule.delay.get(node.name, 0)
        if node.name in names and delay:
            link, population = _population(graph, node)
            nodes += [link, population]
            least[link.name] = delay - 1
            (reader,) = graph.consumers[node.name]
            through, kind = (population.name,), population.kind
            splits.append(DelaySplit(node.name, node.inputs[0], reader, delay, through, kind))
            node = replace(node, inputs=(population.name,))
        nodes.append(node)
    return (graph.rebuild(nodes) if splits else graph), tuple(splits), least


def _population(graph: Graph, node: Node) -> tuple[Sparse, Gate | Relay]:
    source = node.inputs[0]
    shape, is_gate = graph.shapes[source], graph.signals[source] is Signal.SPIKE
    name = f"{node.name}.before"
    link = Sparse(
        name=f"{source}->{name}",
        inputs=(source,),
        weight=identity(int(np.prod(shape)), POOL_WEIGHT if is_gate else 1),
        shape=shape,
        role="shortcut",
        block=node.block,
        origin=source,
    )
    inputs = (link.name,)
    if is_gate:
        return link, Gate(
            name=name,
            inputs=inputs,
            block=node.block,
            origin=source,
            threshold=POOL_THRESHOLD,
        )
    return link, Relay(name=name, inputs=inputs, block=node.block, origin=source)
