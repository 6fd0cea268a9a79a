"""Counts that the engine makes while it runs a network, in place of a replay of its spikes.

The populations of the compiled graph with relays are nodes of the integer graph: gates are masks
and pools, relays are residual streams. So the engine, which computes these nodes anyway, can count
their events while they are in the cache. Networks for which that is not so are replayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from sdt_lava.engine.plan.plan import Outcome

_RELAY = ".relay"


@dataclass(frozen=True, eq=False)
class Counted:
    """What is counted in a network.

    Parameters
    ----------
    nodes : dict of str to str
        Node of the integer graph that sends the same, by population; graded input is left out.
    fan_out : dict of str to ndarray of int64
        By node: fan-out of its positions, ``(n, H, W)``, for each of `n` connections in which
        positions differ.
    differing : dict of str to list of str
        By population: these connections.
    """

    nodes: dict[str, str]
    fan_out: dict[str, IntArray]
    differing: dict[str, list[str]]


def counted(net: Graph) -> Counted | None:
    """Return what the engine counts in a network; None if it has to be replayed."""
    if "counted" not in net.derived:
        net.derived["counted"] = _find(net)
    found: Counted | None = net.derived["counted"]
    return found


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
    """Whether a population of the compiled graph has what a node of the network emits."""
    if isinstance(population, Gate):
        return node.emits is Signal.SPIKE and not node.has_memory
    if isinstance(population, MaxRelay):
        return isinstance(node, MaxPool)
    if isinstance(population, Relay):
        # The relay of a sum over tokens sends it before its shift.
        over_tokens = isinstance(node, TokenMean | TokenSum)
        return node.emits in (Signal.CURRENT, Signal.LOGITS) and not over_tokens
    return node.kind == population.kind


def _image(shape: tuple[int, ...]) -> tuple[int, int]:
    return (shape[1], shape[2]) if len(shape) == 3 else (1, 1)


def _by_position(
    counter: EventCounter, population: str, shape: tuple[int, ...]
) -> dict[str, IntArray] | None:
    """Return the fan-outs that differ from position to position; None if channels differ, too."""
    found = {}
    for connection in counter.read_by(population):
        reached = counter.fan_out[connection].reshape(shape[0], -1)
        if (reached != reached[0]).any():
            return None
        if (reached[0] != reached[0, 0]).any():
            found[connection] = reached[0]
    return found


class FusedCounter:
    """Gathers the counts of the engine's batches.

    Parameters
    ----------
    net : Graph
        Integer graph.
    what : Counted
        What is counted in it.
    size : tuple of int
        Steps and samples.
    frames : ndarray of int, optional
        Input ``(T, B, *shape)``, which is counted here if it is graded.
    """

    def __init__(
        self, net: Graph, what: Counted, size: tuple[int, ...], frames: IntArray | None = None
    ) -> None:
        self.fan_out, self._what = what.fan_out, what
        self._counter = EventCounter(lowered(net), size)
        self._done = 0
        if frames is not None and net.input.name not in what.nodes:
            # One step of a frame that does not change is broadcast to all of them.
            shown = frames[:1] if frames.strides[0] == 0 else frames
            self._counter.add_population(net.input.name, slice(0, size[1]), shown)

    def add(self, counts: Mapping[str, IntArray], done: int) -> None:
        """Take the counts of a batch that ends before sample `done`."""
        part = slice(self._done, done)
        for population, node in self._what.nodes.items():
            events, *differing = counts[node]
            self._counter.events[population][:, part] = events
            reached = dict(zip(self._what.differing[population], differing, strict=True))
            for connection in self._counter.read_by(population):
                usual = self._counter.fan_out[connection]
                operations = reached.get(connection, events * usual[0] if usual.size else events)
                self._counter.operations[connection][:, part] = operations
        self._done = done

    def counts(self) -> Counts:
        """Return the tables."""
        return self._counter.counts()


def fused_counts(
    net: Graph,
    frames: IntArray,
    spikes: Mapping[str, NDArray[np.uint8]],
    *,
    is_engines: bool,
) -> Counts | None:
    """Count a run again with the engine; None if that cannot be or the spikes differ.

    Parameters
    ----------
    net : Graph
        Integer graph.
    frames : ndarray of int
        Input ``(T, B, *shape)``; every sample started from rest.
    spikes : mapping of str to ndarray
        What the LIFs that were recorded sent, ``(T, B, *shape)``.
    is_engines : bool
        Whether the engine itself has recorded the spikes, so that they need no comparison.
    """
    from sdt_lava.engine import Engine

    engine, what = Engine(net, strict=False, tracked=False), counted(net)
    if what is None or not engine.can_count(frames):
        return None
    counter = FusedCounter(net, what, frames.shape[:2], frames)
    wanted = () if is_engines else tuple(name for name in net.lif_names if name in spikes)
    first = 0
    for outcome, done in engine.counted_batches(frames, wanted, what.fan_out):
        part = slice(first, done)
        if not all(_agrees(outcome, name, spikes[name][:, part]) for name in wanted):
            return None
        counter.add(outcome.counts, done)
        first = done
    return counter.counts()


def _agrees(outcome: Outcome, name: str, spikes: NDArray[np.uint8]) -> bool:
    return np.array_equal(outcome.outputs[name].unpack(), spikes)
