"""Convolutions that wait but have to stay convolutions: neurons before them wait instead.

Lava's Conv has no delays, and a matrix in its place, which has, holds its sums in other registers:
32 bits where the convolution has 24 that wrap. Where that could make a difference, a population
that passes the events on takes the delay.
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
    """Let no convolution of these names wait.

    Parameters
    ----------
    graph : Graph
        Compiled graph.
    schedule : Schedule
        Its timing.
    names : collection of str
        Convolutions; those without a delay stay as they are.

    Returns
    -------
    graph : Graph
        With the populations.
    splits : tuple of DelaySplit
        What was changed.
    least : dict of str to int
        Delays of the connections to these populations, which the schedule must keep.
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
