"""Count events from recorded spikes: replay the compiled graph and sum up fan-outs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.counts.counts import ROLE_OPERATIONS, ConnectionCounts, Counts, LayerCounts
from sdt_lava.counts.replay import evaluate_nodes, have_memory, needed_nodes
from sdt_lava.ir import Conv, Dense, Graph, Input, Node, Signal, Sparse, SpikingNeurons
from sdt_lava.ir.batches import fitting, parts
from sdt_lava.ir.fan_out import fan_out
from sdt_lava.ir.numerics import IntArray
from sdt_lava.ir.work import multiplications
from sdt_lava.support.torch_use import torch_is_loaded

# Limit on the memory for the values of all populations during a replay [bytes].
_CHUNK_BYTES = 256_000_000
_BYTES_PER_VALUE = 9  # an int64 or uint8 value and its mask
_MOST_SAMPLES = 64
# Multiplications that NumPy makes in the one or two seconds that importing torch takes.
_WORTH_TORCH = 3_000_000_000


def count_events(
    net: Graph,
    frames: IntArray,
    spikes: Mapping[str, NDArray[np.uint8]],
    graph: Graph | None = None,
    *,
    plain: bool = False,
) -> Counts:
    """Count the events and operations of a run.

    Parameters
    ----------
    net : Graph
        Integer graph.
    frames : ndarray of int
        Input ``(T, B, *shape)``.
    spikes : mapping of str to ndarray
        Recorded spikes of every LIF, ``(T, B, *shape)``.
    graph : Graph, optional
        Compiled graph whose operations are counted; by default the one with relays for shortcuts.
    plain : bool
        Whether to compute with NumPy only, without the engine.

    Returns
    -------
    Counts
        Counts of each population of the compiled graph.
    """
    compiled = lowered(net) if graph is None else graph
    counter = EventCounter(compiled, frames.shape[:2])
    for part, values in replay(compiled, frames, spikes, counter.populations, plain=plain):
        counter.add(part, values)
    return counter.counts()


def replay(
    graph: Graph,
    frames: IntArray,
    spikes: Mapping[str, NDArray[np.uint8]],
    populations: Sequence[str],
    *,
    plain: bool = False,
) -> Iterator[tuple[slice, Mapping[str, NDArray[np.generic]]]]:
    """Recompute what gates and relays sent in a run, from the recorded spikes of LIFs.

    Parameters
    ----------
    graph : Graph
        Compiled graph.
    frames : ndarray of int
        Input ``(T, B, *shape)``.
    spikes : mapping of str to ndarray
        Recorded spikes of every LIF, ``(T, B, *shape)``.
    populations : sequence of str
        Populations whose output is returned.
    plain : bool
        Whether to compute with NumPy only, without the engine.

    Yields
    ------
    slice
        Range of samples that fit into memory at once.
    mapping of str to ndarray
        Output of each population for these samples, ``(T, b, *shape)``.
    """
    run = _way(graph, frames.shape, frozenset(spikes), populations, plain)
    start = 0
    for batch, stop in parts(frames, _samples_at_once(graph, len(frames))):
        part = slice(start, stop)
        recorded = {name: np.asarray(values)[:, part] for name, values in spikes.items()}
        yield part, run(batch, recorded)
        start = stop


_Values = Mapping[str, NDArray[Any]]
_Run = Callable[[IntArray, _Values], _Values]


def _way(
    graph: Graph, size: tuple[int, ...], recorded: frozenset[str], populations: Sequence[str],
    plain: bool,
) -> _Run:  # fmt: skip
    """Return a function that replays samples with NumPy, or with the engine if that is faster."""
    needed = needed_nodes(graph, set(populations) - recorded, recorded)
    work = multiplications(graph, needed) * size[0] * size[1]
    use_engine = torch_is_loaded() or have_memory(graph, needed) or work >= _WORTH_TORCH
    if plain or not use_engine:
        return lambda frames, known: {**known, **evaluate_nodes(graph, needed, frames, known)}
    # Import the engine here so that tables of counts can be read without torch.
    from sdt_lava.engine import Engine, RunRequest

    engine = Engine(graph, strict=False)
    return lambda frames, known: engine.run(frames, RunRequest(populations, recorded=known))


def _samples_at_once(graph: Graph, timesteps: int) -> int:
    values = sum(int(np.prod(shape)) for shape in graph.shapes.values())
    return min(_MOST_SAMPLES, fitting(_CHUNK_BYTES, _BYTES_PER_VALUE * values * timesteps))


class EventCounter:
    """Counter of events and of the synapses that they reach.

    Parameters
    ----------
    graph : Graph
        Compiled graph.
    size : tuple of int
        Numbers of steps and samples.
    """

    def __init__(self, graph: Graph, size: tuple[int, ...]) -> None:
        self.graph = graph
        self.size = size
        self.populations = [n for n in graph.order if graph.signals[n] is not Signal.CURRENT]
        self.fan_out = _fan_outs(graph)
        self.events = {name: np.zeros(size, np.int64) for name in self.populations}
        self.operations = {name: np.zeros(size, np.int64) for name in self.fan_out}

    def add(self, samples: slice, values: Mapping[str, NDArray[np.generic]]) -> None:
        """Count the events of some samples, with values ``(T, b, *shape)``."""
        for name in self.populations:
            self.add_population(name, samples, values[name])

    def add_population(self, name: str, samples: slice, values: NDArray[np.generic]) -> None:
        """Count the events of one population in some samples, with values ``(T, b, *shape)``."""
        happened = (values != 0).reshape(*values.shape[:2], -1)
        self.events[name][:, samples] = happened.sum(axis=2, dtype=np.int64)
        for connection in self.read_by(name):
            reached = _reached(happened, self.fan_out[connection])
            self.operations[connection][:, samples] = reached

    def read_by(self, population: str) -> list[str]:
        """Return the connections that carry a population's events."""
        return [name for name in self.graph.consumers[population] if name in self.fan_out]

    def counts(self) -> Counts:
        """Return the counts of all samples added so far."""
        layers = tuple(self._layer(self.graph.nodes[name]) for name in self.populations)
        return Counts(layers, samples=self.size[1], timesteps=self.size[0])

    def _layer(self, node: Node) -> LayerCounts:
        graph = self.graph
        neurons = int(np.prod(graph.shapes[node.name]))
        driven = sum(int(self.fan_out[name].sum()) for name in self.read_by(node.name))
        incoming = () if isinstance(node, Input) else node.inputs
        connections = [self._connection(graph.nodes[name], node) for name in incoming]
        if isinstance(node, SpikingNeurons) and node.weight_rec is not None:
            connections.append(_recurrent(node, neurons, self.events[node.name]))
            driven += connections[-1].synapses
        return LayerCounts(
            name=node.name,
            kind=node.kind,
            block=node.block,
            neurons=neurons,
            fan_out=driven / neurons,
            graded=graph.signals[node.name] is Signal.GRADED,
            events=self.events[node.name],
            connections=tuple(connections),
        )

    def _connection(self, node: Node, reader: Node) -> ConnectionCounts:
        source = node.inputs[0]
        role = node.role if isinstance(node, Sparse) else "synapse"
        graded = self.graph.signals[source] is Signal.GRADED
        synapses = int(self.fan_out[node.name].sum())
        return ConnectionCounts(
            name=node.name,
            origin=node.origin or node.name,
            source=source,
            reader=reader.name,
            role=role,
            operation=ROLE_OPERATIONS.get(role, "mac" if graded else "accumulate"),
            synapses=synapses,
            flops=_formula_flops(node, self.graph) or synapses,
            source_neurons=int(np.prod(self.graph.shapes[source])),
            events=self.events[source],
            operations=self.operations[node.name],
        )


def _fan_outs(graph: Graph) -> dict[str, IntArray]:
    """Return the fan-out of each connection, which is computed once per graph."""
    if "fan out" not in graph.derived:
        connections = [graph.nodes[n] for n in graph.order if graph.signals[n] is Signal.CURRENT]
        graph.derived["fan out"] = {
            node.name: fan_out(node, graph.shapes[node.inputs[0]]).ravel() for node in connections
        }
    fan_outs: dict[str, IntArray] = graph.derived["fan out"]
    return fan_outs


def lowered(net: Graph) -> Graph:
    """Return the compiled graph with relays for shortcuts, which is built once per network."""
    from sdt_lava.compiler.lowering import lower

    if "lowered" not in net.derived:
        net.derived["lowered"] = lower(net)
    compiled: Graph = net.derived["lowered"]
    return compiled


def _recurrent(node: SpikingNeurons, neurons: int, events: IntArray) -> ConnectionCounts:
    """Count the recurrent operations of a population, whose spikes reach all of its neurons."""
    return ConnectionCounts(
        name=f"{node.name}.recurrent",
        origin=node.name,
        source=node.name,
        reader=node.name,
        role="synapse",
        operation="accumulate",
        synapses=neurons**2,
        flops=neurons**2,
        source_neurons=neurons,
        events=events,
        operations=events * neurons,
    )


def _reached(happened: NDArray[np.bool_], synapses: IntArray) -> IntArray:
    """Sum the synapses of the neurons that sent an event, for each step and sample."""
    if synapses.size and (synapses == synapses[0]).all():
        return happened.sum(axis=2, dtype=np.int64) * int(synapses[0])
    reached = np.zeros(happened.shape[:2], np.int64)
    for step, sample in np.ndindex(*reached.shape):
        reached[step, sample] = synapses[happened[step, sample]].sum()
    return reached


def _formula_flops(node: Node, graph: Graph) -> int:
    """Return ``k^2 h w c_in c_out`` for a convolution, ``i o`` for a dense layer, otherwise 0."""
    if isinstance(node, Conv):
        positions = int(np.prod(graph.shapes[node.name][1:]))
        return int(node.weight.size) * positions
    return int(node.weight.size) if isinstance(node, Dense) else 0
