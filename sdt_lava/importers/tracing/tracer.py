"""Trace any torch module to a float graph with folded batch normalisation."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from sdt_lava.errors import TraceError
from sdt_lava.importers.tracing.axes import (
    BATCH,
    TIME,
    has_copies,
    merged,
    roots,
    significant,
    whole,
)
from sdt_lava.importers.tracing.batches import Reads, compare_batches
from sdt_lava.importers.tracing.entry import Example, read_example
from sdt_lava.importers.tracing.mode import Tracing, symbol_of
from sdt_lava.importers.tracing.naming import named
from sdt_lava.importers.tracing.neurons import is_neuron
from sdt_lava.importers.tracing.patching import original_of, uncompiled
from sdt_lava.importers.tracing.refusals import NoMeaning
from sdt_lava.importers.tracing.symbols import Events, Membrane, Traced
from sdt_lava.ir import Graph, Input, Node
from sdt_lava.support.torch_state import evaluating

logger = logging.getLogger(__name__)

_BATCH_SIZES = (2, 3)
_SHOWN = 8


@runtime_checkable
class Described(Protocol):
    """Network that describes its own input, so that tracing needs no example."""

    def graph_input(self) -> Input:
        """Return the input node of the graph."""

    def graph_metadata(self) -> dict[str, Any]:
        """Return the metadata of the graph."""

    def graph_steps(self) -> int:
        """Return the number of time steps of a static input."""


def trace(
    module: nn.Module,
    example: Any = None,
    *,
    axes: str | None = None,
    timesteps: int | None = None,
    levels: tuple[float, int, int] | None = None,
) -> Graph:
    """Convert a torch module to a float graph by running it once.

    Parameters
    ----------
    module : nn.Module
        Any network of spiking neurons. It is run in evaluation mode and not changed.
    example : array_like or Tensor, optional
        Input of the network with at least one sample. Networks of this package need none, because
        their configuration describes the input.
    axes : str, optional
        Axes of the example: letters ``B`` (batch), ``T`` (time), ``C``, ``H`` and ``W``. By default
        ``BC``, ``BCHW`` (static) or ``BTCHW``, depending on their number.
    timesteps : int, optional
        Number of time steps of a sample, if the network computes one step per call.
    levels : (float, int, int), optional
        Integer levels per unit of the input, and the smallest and largest level. By default, they
        are derived from the example: spikes if all values are 0 or 1.

    Returns
    -------
    Graph
        Graph with nodes named after the modules, float64 weights, and biases on the synapses.
        Unused parts of the network are listed in ``trace`` of the metadata and logged.

    Raises
    ------
    TraceError
        If the result depends on an operation that a graph cannot represent (the error names the
        module, the line of code and the operation), or on the other samples of a batch.
    """
    while (original := original_of(module)) is not None:
        module = original
    if isinstance(module, Described) and axes is None and levels is None:
        return _traced_description(module)
    if example is None:
        raise TraceError("trace", "no example", "an input of the network", "pass example=x")
    entry = read_example(example, axes, levels)
    with evaluating(module), uncompiled(module):
        (graph, reads), (other, other_reads) = (
            _run(module, entry, size, timesteps) for size in _BATCH_SIZES
        )
        if [_outline(node) for node in graph] != [_outline(node) for node in other]:
            raise TraceError("the network", "is another one for another batch size", "the same")
        if entry.x is not None:
            samples = [entry.samples(size) for size in _BATCH_SIZES]
            compare_batches(module, list(zip(samples, (reads, other_reads), strict=True)))
    for title, names in graph.metadata.get("trace", {}).items():
        some = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        logger.warning("%s: %s", title, some)
    return graph


def _traced_description(module: Any) -> Graph:
    node = module.graph_input()
    layout = (whole(BATCH, 2), *(whole(axis, side) for axis, side in enumerate(node.shape)))
    entry = Example(node, "BCHW", layout, None)
    with evaluating(module):
        graph, _ = _run(module, entry, 2, module.graph_steps(), module.graph_metadata())
    return graph


def _run(
    module: nn.Module,
    entry: Example,
    batch: int,
    timesteps: int | None,
    metadata: dict[str, Any] | None = None,
) -> tuple[Graph, Reads]:
    tracing = Tracing(module)
    context = tracing.context
    context.builder.nodes["input"] = entry.node
    is_binary = (entry.node.low, entry.node.high) == (0, 1)
    source = Events(entry.node.shape, "input", is_binary)
    x = tracing.track(entry.meta(batch), Traced(source, entry.layout_of(batch)))
    if TIME in entry.axes:
        context.set_steps(entry.steps)
    with tracing.watching():
        try:
            with tracing:
                result = module(x)
            context.check_parameters()
        except TraceError:
            raise
        except NoMeaning as refusal:
            raise tracing.error(refusal.found, refusal.allowed, refusal.remedy) from None
        except Exception as error:
            # User code may raise any exception; the error reports its location.
            raise tracing.error_raised(error) from error
    graph = _Ending(tracing, module, timesteps).graph(result, metadata or {})
    return graph, context.reads


def _outline(node: Node) -> tuple[str, str, tuple[str, ...]]:
    return node.name, node.kind, node.inputs


@dataclass(frozen=True)
class _Ending:
    """Last stage of tracing, which selects the nodes that the result depends on."""

    tracing: Tracing
    module: nn.Module
    timesteps: int | None

    def graph(self, result: Any, metadata: dict[str, Any]) -> Graph:
        """Return the graph of the nodes that the network's result depends on."""
        context = self.tracing.context
        output = self._output(result)
        symbol = symbol_of(output)
        try:
            end = context.builder.end(symbol)
        except NoMeaning as refusal:
            raise self.tracing.error(refusal.found, refusal.allowed, refusal.remedy) from None
        steps = self._steps(output)
        if not _is_in_order(output):
            raise self.tracing.error(
                "a result whose channels, rows or columns are in another order than they were",
                "the order in which the last layer or the last neurons have them",
                "put the rows of the last layer's weights in the order of the classes",
            )
        if BATCH not in roots(output.layout):
            raise self.tracing.error("a result without a batch axis", "a result for each sample")
        needed = _needed(context.builder.nodes, end)
        used = frozenset().union(*(context.builder.parameters.get(name, ()) for name in needed))
        notes = self._notes(used)
        if notes:
            metadata = {**metadata, "trace": notes}
        return Graph.build(named(needed, end, context.builder.shortcuts), steps, metadata)

    def _output(self, result: Any) -> Traced:
        for tensor in _tensors(result):
            traced = self.tracing.traced(tensor)
            if traced is not None and not isinstance(traced.symbol, Membrane):
                return traced
        raise self.tracing.error(
            "a result that does not come from the input by way of torch's functions",
            "a tensor, or a tuple that starts with one",
        )

    def _steps(self, output: Traced) -> int:
        """Return the number of time steps, and check that the result includes all of them."""
        context = self.tracing.context
        present = output.time.present if output.time is not None else frozenset()
        timesteps = self.timesteps
        if context.steps is not None:
            if timesteps not in (None, context.steps):
                raise self.tracing.error(f"{context.steps} time steps", f"timesteps = {timesteps}")
            steps = context.steps
        elif len(present) == 1 and max(present) > 0:
            raise self.tracing.error(
                f"a result of time step {max(present) + 1} alone",
                "all steps, or their sum or mean",
            )
        elif len(present) == 1 and timesteps is not None:
            return timesteps
        elif len(present) > 1:
            steps = max(present) + 1
            if timesteps not in (None, steps):
                raise self.tracing.error(f"{steps} time steps", f"timesteps = {timesteps}")
        else:
            raise self.tracing.error(
                "a network that computes one time step",
                "a number of time steps",
                "pass timesteps=T: the network is then run T times a sample",
            )
        if present and present != frozenset(range(steps)):
            raise self.tracing.error(
                f"a result of the time steps {sorted(present)} of {steps}",
                "all of them, or their sum or mean",
            )
        return steps

    def _notes(self, used: frozenset[str]) -> dict[str, list[str]]:
        """List the modules and parameters without effect on the result, and what was rounded."""
        context = self.tracing.context
        unused = [name for name, _ in self.module.named_parameters() if name not in used]
        silent = [
            path
            for path, module in context.modules.items()
            if path and not context.called[path] and _does_something(module)
            and not any(name.startswith(f"{path}.") for name in used)
            and not _inside_neurons(path, context.modules)
        ]  # fmt: skip
        notes = {
            "modules never called": silent,
            "parameters without effect": unused,
            "rounded": context.notes,
        }
        notes = {title: names for title, names in notes.items() if names}
        return notes


def _is_in_order(output: Traced) -> bool:
    """Return whether the axes of the signal are in C order, apart from time and batch."""
    signal = [f for axis in output.layout for f in significant(axis) if f.root.isdigit()]
    whole_signal = [f for root, size in enumerate(output.symbol.shape) for f in whole(root, size)]
    return merged(signal) == merged(whole_signal) and not any(map(has_copies, output.layout))


def _does_something(module: nn.Module) -> bool:
    """Return whether a module is more than a container."""
    return not isinstance(module, (nn.ModuleList, nn.ModuleDict)) and not any(
        True for _ in module.children()
    )


def _inside_neurons(path: str, modules: dict[str, nn.Module]) -> bool:
    """Return whether a module is inside neurons, which are traced as a whole."""
    parts = path.split(".")
    return any(is_neuron(modules[".".join(parts[:end])]) for end in range(1, len(parts)))


def _needed(nodes: dict[str, Node], end: str) -> dict[str, Node]:
    """Return the nodes that the last node depends on, in order of creation."""
    required, queue = {"input"}, [end]
    while queue:
        name = queue.pop()
        if name not in required:
            required.add(name)
            queue.extend(nodes[name].inputs)
    return {name: node for name, node in nodes.items() if name in required}


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict):
        yield from _tensors(list(values.values()))
    elif isinstance(values, (tuple, list)):
        for value in values:
            yield from _tensors(value)
