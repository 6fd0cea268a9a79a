"""Count events in the engine while it runs a network, instead of replaying its spikes.

The populations of the compiled graph with relays correspond to nodes of the integer graph: gates
are masks and pools, relays are residual streams. The engine computes these nodes anyway, so it can
count their events while they are in the cache. Networks without this correspondence are replayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdt_lava.counts.counts import Counts
from sdt_lava.counts.events import EventCounter, lowered
from sdt_lava.ir import (
    Gate,
    Graph,
    Input,
    MaxPool,
    MaxRelay,
    Node,
    Relay,
    Signal,
    TokenMean,
    TokenSum,
)
from sdt_lava.ir.numerics import IntArray

_RELAY = ".relay"


@dataclass(frozen=True, eq=False)
class Counted:
    """Nodes and connections that the engine counts in a network.

    Parameters
    ----------
    nodes : dict of str to str
        For each population, the node of the integer graph that sends the same events; graded input
        is omitted.
    fan_out : dict of str to ndarray of int64
        For each node, the fan-out of its positions in each of the `n` connections where positions
        differ, ``(n, H, W)``.
    differing : dict of str to list of str
        For each population, the names of these connections.
    """

    nodes: dict[str, str]
    fan_out: dict[str, IntArray]
    differing: dict[str, list[str]]


def counted(net: Graph) -> Counted | None:
    """Return the counters of the engine for a network, or None if the network must be replayed."""
    if "counted" not in net.derived:
        net.derived["counted"] = _find(net)
    result: Counted | None = net.derived["counted"]
    return result


def _find(net: Graph) -> Counted | None:
    if net.message_names:
        return None
    from sdt_lava.engine.plan.counting import countable

    counter, possible = EventCounter(lowered(net), (0, 0)), countable(net)
    nodes: dict[str, str] = {}
    fan_out: dict[str, IntArray] = {}
    differing: dict[str, list[str]] = {}
    for name in counter.populations:
        population = counter.graph.nodes[name]
        if isinstance(population, Input) and net.signals[name] is not Signal.SPIKE:
            continue
        node = name if name in net.nodes else name.removesuffix(_RELAY)
        if node not in net.nodes or not _sends_the_same(population, net.nodes[node]):
            return None
        if node in fan_out or node not in possible:
            return None
        by_position = _by_position(counter, name, net.shapes[node])
        if by_position is None:
            return None
        nodes[name] = node
        differing[name] = list(by_position)
        height, width = _image(net.shapes[node])
        fan_out[node] = np.array(list(by_position.values()), np.int64).reshape(-1, height, width)
    return Counted(nodes, fan_out, differing)


def _sends_the_same(population: Node, node: Node) -> bool:
    """Return whether a population of the compiled graph sends what a node of the network emits."""
    if isinstance(population, Gate):
        return node.emits is Signal.SPIKE and not node.has_memory
    if isinstance(population, MaxRelay):
        return isinstance(node, MaxPool)
    if isinstance(population, Relay):
        # The relay of a sum over tokens sends the sum before its shift.
        over_tokens = isinstance(node, TokenMean | TokenSum)
        return node.emits in (Signal.CURRENT, Signal.LOGITS) and not over_tokens
    return node.kind == population.kind


def _image(shape: tuple[int, ...]) -> tuple[int, int]:
    return (shape[1], shape[2]) if len(shape) == 3 else (1, 1)


def _by_position(
    counter: EventCounter, population: str, shape: tuple[int, ...]
) -> dict[str, IntArray] | None:
    """Return the fan-outs that differ between positions, or None if channels differ as well."""
    fan_outs = {}
    for connection in counter.read_by(population):
        reached = counter.fan_out[connection].reshape(shape[0], -1)
        if (reached != reached[0]).any():
            return None
        if (reached[0] != reached[0, 0]).any():
            fan_outs[connection] = reached[0]
    return fan_outs


def tables(
    net: Graph,
    what: Counted,
    size: tuple[int, ...],
    counts: Mapping[str, IntArray],
    frames: IntArray | None = None,
) -> Counts:
    """Return the counts of a run of the engine.

    Parameters
    ----------
    net : Graph
        Integer graph.
    what : Counted
        What is counted in the network.
    size : tuple of int
        Numbers of steps and samples.
    counts : mapping of str to ndarray
        What the run counted, see :class:`~sdt_lava.engine.request.RunResult`.
    frames : ndarray of int, optional
        Input ``(T, B, *shape)``; its events are counted here if it is graded.
    """
    counter = EventCounter(lowered(net), size)
    if frames is not None and net.input.name not in what.nodes:
        # The events of a constant frame are counted once and broadcast to all steps.
        distinct = frames[:1] if frames.strides[0] == 0 else frames
        counter.add_population(net.input.name, slice(0, size[1]), distinct)
    for population, node in what.nodes.items():
        events, *differing = counts[node]
        counter.events[population][:] = events
        reached = dict(zip(what.differing[population], differing, strict=True))
        for connection in counter.read_by(population):
            usual = counter.fan_out[connection]
            operations = reached.get(connection, events * usual[0] if usual.size else events)
            counter.operations[connection][:] = operations
    return counter.counts()


def fused_counts(
    net: Graph,
    frames: IntArray,
    spikes: Mapping[str, NDArray[np.uint8]],
    *,
    is_engines: bool,
) -> Counts | None:
    """Count a run by repeating it on the engine; return None if unsupported or if spikes differ.

    Parameters
    ----------
    net : Graph
        Integer graph.
    frames : ndarray of int
        Input ``(T, B, *shape)``. Every sample starts from rest.
    spikes : mapping of str to ndarray
        Spikes of the recorded LIFs, ``(T, B, *shape)``.
    is_engines : bool
        Whether the engine itself recorded the spikes, in which case they are not compared.
    """
    from sdt_lava.engine import Engine, RunRequest
    from sdt_lava.engine.request import unpacked

    engine, counted_nodes = Engine(net, strict=False, tracked=False), counted(net)
    if counted_nodes is None or not engine.can_count(frames):
        return None
    compared = () if is_engines else tuple(name for name in net.lif_names if name in spikes)
    ran = engine.run(frames, RunRequest(compared, counted=counted_nodes.fan_out))
    # One layer is unpacked at a time.
    if not all(np.array_equal(unpacked(ran.packed(name)), spikes[name]) for name in compared):
        return None
    return tables(net, counted_nodes, frames.shape[:2], ran.counts, frames)
