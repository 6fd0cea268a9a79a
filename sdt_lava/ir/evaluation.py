"""What one node computes, from what it reads: its equation, in the registers of Lava."""

from __future__ import annotations

from collections.abc import Sequence

from sdt_lava.ir.base import Node
from sdt_lava.ir.numerics import IntArray
from sdt_lava.ir.registers import carry, hold
from sdt_lava.ir.watch import Watch


def evaluate(node: Node, inputs: Sequence[IntArray], watch: Watch | None = None) -> IntArray:
    """Evaluate one node without memory: what it emits, ``(T, B, *shape)``.

    Parameters
    ----------
    node : Node
        The node.
    inputs : sequence of ndarray of int64
        What it reads.
    watch : Watch, optional
        Notes what does not fit its register.
    """
    values = node.equation(inputs)
    if node.holds_sums:
        values = hold(node, values, inputs[0].shape[2:], watch)
    if node.sends_payload:
        values = carry(node, values, watch)
    return node.completed(values)
