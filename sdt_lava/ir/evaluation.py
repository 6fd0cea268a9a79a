"""Evaluate a node: its equation within the registers of Lava."""

from __future__ import annotations

from collections.abc import Sequence

from sdt_lava.ir.base import Node
from sdt_lava.ir.numerics import IntArray
from sdt_lava.ir.registers import carry, hold
from sdt_lava.ir.watch import Watch


def evaluate(node: Node, inputs: Sequence[IntArray], watch: Watch | None = None) -> IntArray:
    """Return the output of a node without memory, ``(T, B, *shape)``.

    Parameters
    ----------
    node : Node
        Node to evaluate.
    inputs : sequence of ndarray of int64
        Inputs of the node.
    watch : Watch, optional
        Watch that records values that do not fit their registers.
    """
    values = node.equation(inputs)
    if node.holds_sums:
        values = hold(node, values, inputs[0].shape[2:], watch)
    if node.sends_payload:
        values = carry(node, values, watch)
    return node.completed(values)
