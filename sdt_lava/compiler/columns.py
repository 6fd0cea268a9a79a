"""Analyse SDSA columns: neurons that sum spikes over tokens, and often compute a plain OR.

A *column* is a population with one neuron per channel that reads only a token sum, such as
``block.0.attn.talking_heads_lif``. With the official threshold, the neuron fires on a single spike
and stays at rest without spikes. It then has no memory, and cheaper circuits compute the same
output.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sdt_lava.errors import CompileError
from sdt_lava.ir import And, Graph, Lif, Node, TokenDilate, TokenSum
from sdt_lava.ir.numerics import ACTIVATION_LIMIT, WEIGHT_LIMIT

AND, COLUMN_GATE, COLUMNLESS, SINGLE_GATE = "and", "column-gate", "columnless", "single-gate"
WAYS = (AND, COLUMN_GATE, COLUMNLESS, SINGLE_GATE)
# The leak of a gate leaves threshold / 64 activation units behind, which is less than one unit up
# to this threshold.
MAX_GATE_THRESHOLD = 4095
# Weight of a column's spike in a gate that reads the whole column.
COLUMN_SPIKE = 2
# Limit on synapses of masks that read whole columns, which take 8 bytes each in the compiler.
COLUMNLESS_LIMIT = 8_000_000


@dataclass(frozen=True)
class Column:
    """A column with its inputs and readers.

    Parameters
    ----------
    lif : Lif
        The column's neurons.
    total : TokenSum
        Token sum that the neurons read.
    dilation : TokenDilate or None
        Dilation of the summed spikes that has no other reader.
    source : str
        Node whose spikes are summed, before the dilation.
    readers : tuple of Node
        Nodes that read the column.
    """

    lif: Lif
    total: TokenSum
    dilation: TokenDilate | None
    source: str
    readers: tuple[Node, ...]

    @property
    def neighbours(self) -> int:
        """Number of channels that one channel reads because of the dilation."""
        return 1 if self.dilation is None else 3


def find_columns(graph: Graph) -> dict[str, Column]:
    """Return the columns of a graph, keyed by the name of their neurons."""
    return {node.name: column for node in graph.of_type(Lif) if (column := _column(graph, node))}


def _column(graph: Graph, lif: Lif) -> Column | None:
    total = graph.nodes[lif.inputs[0]]
    if len(lif.inputs) != 1 or not isinstance(total, TokenSum):
        return None
    if len(graph.consumers[total.name]) > 1:
        return None
    summed = graph.nodes[total.inputs[0]]
    is_fused = isinstance(summed, TokenDilate) and len(graph.consumers[summed.name]) == 1
    return Column(
        lif=lif,
        total=total,
        dilation=summed if isinstance(summed, TokenDilate) and is_fused else None,
        source=summed.inputs[0] if is_fused else summed.name,
        readers=tuple(graph.nodes[name] for name in graph.consumers[lif.name]),
    )


def obstacles(graph: Graph, column: Column) -> dict[str, str]:
    """Return the reason why each lowering of a column is impossible, or '' if it is allowed."""
    memory = column.lif.why_no_or(column.total.weight) or _not_fitting(graph, column)
    return {
        AND: "",
        COLUMN_GATE: memory,
        COLUMNLESS: memory or _not_columnless(graph, column),
        SINGLE_GATE: memory or _not_single(graph, column),
    }


def _not_fitting(graph: Graph, column: Column) -> str:
    _, height, width = graph.shapes[column.total.inputs[0]]
    largest = height * width * abs(column.total.weight)
    if largest > ACTIVATION_LIMIT:
        return f"sums of up to {largest}, which may leave the 24-bit state and wrap"
    return ""


def _not_columnless(graph: Graph, column: Column) -> str:
    for reader in column.readers:
        if not (isinstance(reader, And) and _is_mask(graph, reader, column)):
            return f"read by {reader.name} ({reader.kind}), which is not a mask over its tokens"
    if not column.readers:
        return "it is an output of the network"
    fan_in = column_fan_in(graph, column)
    threshold = MaskWeights.of(fan_in).threshold
    if threshold > MAX_GATE_THRESHOLD:
        return (
            f"{fan_in} spikes a gate, which needs a threshold of {threshold}: above "
            f"{MAX_GATE_THRESHOLD} its leak could decide"
        )
    synapses = fan_in * int(np.prod(graph.shapes[column.source]))
    if synapses > COLUMNLESS_LIMIT:
        return f"{synapses} synapses from columns to masks, more than {COLUMNLESS_LIMIT}"
    return ""


def column_fan_in(graph: Graph, column: Column) -> int:
    """Return the largest number of spikes that reach a neuron of a column in a step."""
    channels, height, width = graph.shapes[column.source]
    heads = column.dilation.heads if column.dilation else 1
    return height * width * min(column.neighbours, channels // heads)


@dataclass(frozen=True)
class MaskWeights:
    """Weights of a mask's gate that reads q and a whole column, whose spikes weigh 2 each.

    The weight of q is at least that of the whole column, and the threshold is one more than it.
    Neither q alone nor the column alone reaches the threshold, but q and one spike of the column
    do. All sums are even and the threshold is odd, so the remainder of a gate's leak never decides.

    Parameters
    ----------
    mantissa, exponent : int
        Weight of q, ``mantissa << exponent``.
    """

    mantissa: int
    exponent: int

    @classmethod
    def of(cls, fan_in: int) -> MaskWeights:
        """Return the smallest weights for a column with the given number of spikes."""
        least, exponent = COLUMN_SPIKE * fan_in, 0
        # Mantissas are even because mixed signs cost the lowest bit of a weight.
        while 2 * -(-least // (2 << exponent)) > WEIGHT_LIMIT:
            exponent += 1
        return cls(2 * -(-least // (2 << exponent)), exponent)

    @property
    def threshold(self) -> int:
        """Threshold of the gate."""
        return (self.mantissa << self.exponent) + 1


def _is_mask(graph: Graph, reader: And, column: Column) -> bool:
    is_broadcast = graph.shapes[reader.name] == graph.shapes[column.source]
    return is_broadcast and reader.inputs[1] == column.lif.name != reader.inputs[0]


def _not_single(graph: Graph, column: Column) -> str:
    reason = _not_columnless(graph, column)
    tokens = column_fan_in(graph, column)
    source = graph.nodes[column.source]
    if reason:
        return reason
    if tokens > 1:
        return f"{tokens} spikes a column, more than one token"
    if not isinstance(source, And) or len(graph.consumers[source.name]) > 1:
        return f"{source.name} ({source.kind}) is not a mask that only this column reads"
    return ""


def sdsa_ways(graph: Graph, sdsa: str | Mapping[str, str]) -> dict[str, str]:
    """Return the lowering of each column.

    Parameters
    ----------
    graph : Graph
        Integer graph.
    sdsa : {'and', 'column-gate', 'columnless', 'single-gate'} or mapping of str to str
        Lowering of all columns, or of individual ones; the others get 'and'.

    Raises
    ------
    CompileError
        If a column or lowering does not exist, or the lowering would change the column's spikes.
    """
    columns = find_columns(graph)
    way_of = dict.fromkeys(columns, sdsa) if isinstance(sdsa, str) else dict(sdsa)
    if isinstance(sdsa, str):
        _check_way("sdsa", sdsa)
    for name, way in way_of.items():
        if name not in columns:
            raise CompileError("sdsa", f"column {name!r}", f"one of {list(columns)}")
        _check_way(f"sdsa of {name!r}", way)
        reasons = obstacles(graph, columns[name])
        if reasons[way]:
            allowed = [other for other in WAYS if not reasons[other]]
            raise CompileError(f"sdsa {way!r} of {name!r}", reasons[way], f"one of {allowed}")
    return {name: way_of.get(name, AND) for name in columns}


def _check_way(where: str, way: str) -> None:
    if way not in WAYS:
        raise CompileError(where, repr(way), f"one of {WAYS}, or 'auto' to compile()")
