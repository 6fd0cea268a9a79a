"""Lower nodes between layers: masks, sums over tokens and pooling."""

from __future__ import annotations

from collections.abc import Callable

from sdt_lava.engine.layout import INT32
from sdt_lava.engine.plan.buffers import Spikes
from sdt_lava.engine.plan.compile import Compiler, lowers
from sdt_lava.engine.plan.operation import Operation
from sdt_lava.engine.plan.signals import (
    AndOperation,
    AnyTokenOperation,
    PoolOperation,
    SubsampleOperation,
    TokenMeanOperation,
    TokenSumOperation,
)
from sdt_lava.ir import And, Lif, MaxPool, Node, OrPool, Subsample, TokenMean, TokenSum
from sdt_lava.ir.numerics import ACTIVATION_LIMIT


@lowers(And)
def _and(compiler: Compiler, node: And) -> bool:
    if _is_part_of_any(compiler, node):
        return True
    left, right = (compiler.read_spikes(name) for name in node.inputs)
    layout = compiler.layout(node.name)
    if left is None or right is None or layout is None:
        return False
    return compiler.add(AndOperation(node, left, right, compiler.write_spikes(node.name, layout)))


def _is_part_of_any(compiler: Compiler, node: And) -> bool:
    """Return whether the only reader of a mask is an OR over tokens, so it needs no memory."""
    readers = compiler.graph.consumers[node.name]
    shapes = {compiler.graph.shapes[name] for name in node.inputs}
    if len(readers) != 1 or len(shapes) != 1 or node.name in compiler.keep:
        return False
    reader = compiler.graph.nodes[readers[0]]
    return isinstance(reader, TokenSum) and _any_neurons(compiler, reader) is not None


def _any_neurons(compiler: Compiler, node: TokenSum) -> Lif | None:
    """Return the neurons that read a token sum if they are an OR over its tokens."""
    readers = compiler.graph.consumers[node.name]
    if len(readers) != 1 or node.name in compiler.keep or compiler.tracked:
        return None
    lif = compiler.graph.nodes[readers[0]]
    if not isinstance(lif, Lif) or lif.inputs != (node.name,):
        return None
    fits = compiler.reach(node.name) <= ACTIVATION_LIMIT
    return lif if fits and not lif.why_no_or(node.weight) else None


@lowers(TokenSum)
def _token_sum(compiler: Compiler, node: TokenSum) -> bool:
    lif = _any_neurons(compiler, node)
    if lif is None:
        source, layout = compiler.read_spikes(node.inputs[0]), compiler.layout(node.name)
        if source is None or layout is None or compiler.reach(node.name) >= INT32:
            return False
        out = compiler.write_current(node.name, layout)
        return compiler.add(TokenSumOperation(node, source, out))
    mask = compiler.graph.nodes[node.inputs[0]]
    is_fused = isinstance(mask, And) and mask.name not in compiler.spikes
    names = mask.inputs if is_fused and mask.name not in compiler.tensors else node.inputs
    sources = [compiler.read_spikes(name) for name in names]
    layout = compiler.layout(node.name)
    all_spikes = [source for source in sources if isinstance(source, Spikes)]
    if layout is None or len(all_spikes) < len(sources):
        return False
    out = compiler.write_spikes(lif.name, layout)
    return compiler.add(AnyTokenOperation((node.name, lif.name), all_spikes, out))


@lowers(TokenMean)
def _token_mean(compiler: Compiler, node: TokenMean) -> bool:
    source, layout = compiler.read_current(node.inputs[0]), compiler.layout(node.name)
    if source is None or layout is None or compiler.reach(node.name) >= INT32:
        return False
    watches = not compiler.unproved.isdisjoint((node.name, *node.inputs))
    out = compiler.write_current(node.name, layout)
    return compiler.add(TokenMeanOperation(node, source, out, watches))


@lowers(OrPool)
def _or_pool(compiler: Compiler, node: OrPool) -> bool:
    source, layout = compiler.read_spikes(node.inputs[0]), compiler.layout(node.name)
    if source is None or layout is None:
        return False
    out = compiler.write_spikes(node.name, layout)
    return compiler.add(PoolOperation(node, source, out))


@lowers(MaxPool)
def _max_pool(compiler: Compiler, node: MaxPool) -> bool:
    return _of_current(compiler, node, PoolOperation)


@lowers(Subsample)
def _subsample(compiler: Compiler, node: Subsample) -> bool:
    return _of_current(compiler, node, SubsampleOperation)


def _of_current(compiler: Compiler, node: Node, operation: Callable[..., Operation]) -> bool:
    """Add an operation that computes one current from another."""
    source, layout = compiler.read_current(node.inputs[0]), compiler.layout(node.name)
    if source is None or layout is None:
        return False
    out = compiler.write_current(node.name, layout)
    return compiler.add(operation(node, source, out))
