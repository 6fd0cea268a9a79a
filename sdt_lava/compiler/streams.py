"""Analyse residual streams, which are currents that several populations read.

A *stream* is a current with several readers, or one that is read through a subsampling or a token
mean. It is the sum at one point of the membrane shortcut, such as ``block.0.attn.shortcut``. If
lowered to a *relay*, a population computes the sum and sends it as graded spikes. If *unrolled*,
there is no such population: every producer is connected to every later reader, and its binary
spikes are delayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sdt_lava.compiler.passes.unroll_convolutions import unrolled_synapses
from sdt_lava.errors import CompileError
from sdt_lava.ir import Conv, Graph, Node, Shortcut, Signal, Subsample, TokenMean
from sdt_lava.ir.proof import convolution_may_wrap
from sdt_lava.ir.registers import is_stream

RELAY, UNROLLED = "relay", "unrolled"
# With a larger shift, a token mean could exceed the 24-bit payload: the neuron after it reads at
# most 17 bits, before this shift.
MAX_UNROLLED_SHIFT = 6
# Limit on the synapses of one branch's sum over tokens, which take 8 bytes each in the compiler.
TOKEN_SUM_LIMIT = 8_000_000


def stream_names(graph: Graph) -> tuple[str, ...]:
    """Return the names of the residual streams in topological order."""
    return tuple(node.name for node in graph if is_stream(graph, node))


def forced_relays(graph: Graph) -> dict[str, str]:
    """Return the streams that cannot be unrolled with the reasons."""
    reasons: dict[str, str] = {}
    obstacles: dict[str, _Obstacle | None] = {}
    stream_of: dict[str, str] = {}
    for node in graph:
        if isinstance(node, TokenMean):
            stream, reason = (
                stream_of[node.inputs[0]],
                _not_unrolled(node, obstacles[node.inputs[0]]),
            )
            if reason and is_stream(graph, graph.nodes[stream]):
                reasons[stream] = reason
        if graph.signals[node.name] is Signal.CURRENT:
            stream_of[node.name] = node.name
            obstacles[node.name] = _obstacle(graph, node, obstacles)
            if isinstance(node, Subsample):
                stream_of[node.name] = stream_of[node.inputs[0]]
    return reasons


@dataclass(frozen=True)
class _Obstacle:
    """A producer that cannot be summed over tokens because it rounds, wraps or is too large."""

    producer: str
    synapses: int = 0
    wraps: bool = False

    def reason(self, mean: str) -> str:
        if self.wraps:
            return f"{self.producer} may leave the 24 bits of a convolution's sum, and wrap"
        if not self.synapses:
            return f"{self.producer} rounds its sums before {mean} adds them up"
        return (
            f"{mean} over {self.producer} would take {self.synapses} synapses, more than "
            f"{TOKEN_SUM_LIMIT}"
        )


def _not_unrolled(mean: TokenMean, obstacle: _Obstacle | None) -> str:
    if mean.shift > MAX_UNROLLED_SHIFT:
        return (
            f"{mean.name} shifts its sum by {mean.shift} bits, the payload of a relay has room "
            f"for {MAX_UNROLLED_SHIFT}"
        )
    return obstacle.reason(mean.name) if obstacle else ""


def _obstacle(
    graph: Graph, node: Node, obstacles: Mapping[str, _Obstacle | None]
) -> _Obstacle | None:
    """Return the first producer of a current that is an obstacle, if any.

    Sums and selections inherit the obstacles of their inputs, so each node is visited once.
    """
    if isinstance(node, Shortcut | Subsample):
        input_obstacles = (obstacles[name] for name in node.inputs)
        return next((obstacle for obstacle in input_obstacles if obstacle), None)
    if np.min(getattr(node, "exponent", 0)) < 0:
        return _Obstacle(node.name)
    if not isinstance(node, Conv):
        return None
    synapses = unrolled_synapses(graph, node)
    if synapses > TOKEN_SUM_LIMIT:
        return _Obstacle(node.name, synapses)
    return _Obstacle(node.name, wraps=True) if convolution_may_wrap(graph, node) else None


def shortcut_ways(graph: Graph, shortcut: str | Mapping[str, str]) -> dict[str, str]:
    """Return the lowering of each stream, 'relay' or 'unrolled'.

    Parameters
    ----------
    graph : Graph
        Integer graph.
    shortcut : {'relay', 'unrolled'} or mapping of str to str
        Lowering of all streams, or of individual ones; the others become relays.

    Raises
    ------
    CompileError
        If a stream or lowering does not exist, or a named stream cannot be unrolled.
    """
    names, forced = stream_names(graph), forced_relays(graph)
    if isinstance(shortcut, str):
        _check_way(f"shortcut {shortcut!r}", shortcut)
        return {name: RELAY if name in forced else shortcut for name in names}
    for name, way in shortcut.items():
        if name not in names:
            raise CompileError("shortcut", f"stream {name!r}", f"one of {list(names)}")
        _check_way(f"shortcut of {name!r}", way)
        if way == UNROLLED and name in forced:
            raise CompileError(f"shortcut of {name!r}", UNROLLED, RELAY, forced[name])
    return {name: shortcut.get(name, RELAY) for name in names}


def _check_way(where: str, way: str) -> None:
    if way not in (RELAY, UNROLLED):
        raise CompileError(where, repr(way), f"one of {(RELAY, UNROLLED)}, or 'auto' to compile()")
