"""Check that a board has enough cores."""

from __future__ import annotations

from collections.abc import Iterator

from sdt_lava.errors import CompileError, TargetError
from sdt_lava.hardware.rules.base import (
    ERROR,
    WARNING,
    WHOLE_NETWORK,
    RuleContext,
    Violation,
    rule,
)


@rule("cores_per_chip")
def board_capacity(context: RuleContext) -> Iterator[Violation]:
    """Networks fit the cores of the requested board."""
    compiled, target = context.compiled, context.target
    if compiled.board is None:
        return
    per_chip = target.limit("cores_per_chip")
    # Another rule reports kinds that no core runs.
    is_mappable = all(node.kind in target.kinds for node in compiled.graph)
    if not target.is_hardware or per_chip is None or not is_mappable:
        return
    from sdt_lava.hardware.core_map import count_cores

    board = target.board(compiled.board)
    try:
        cores = count_cores(compiled)
    except (CompileError, TargetError) as error:
        # A neuron does not fit on a core, or the target does not state what a core holds.
        yield Violation(
            "board_capacity",
            WHOLE_NETWORK,
            f"{error.where}: {error.found}",
            error.allowed or "what a core holds",
            error.remedy or "a smaller layer",
            WARNING if isinstance(error, TargetError) else ERROR,
        )
        return
    chips = -(-cores // per_chip)
    if chips > board.chips:
        larger = [other.name for other in target.boards.values() if other.chips >= chips]
        yield Violation(
            "board_capacity",
            WHOLE_NETWORK,
            f"{cores:,} cores on {chips:,} chips",
            f"{board.chips:,} on {board.name}, of {per_chip} cores",
            f"--board {larger[0]}" if larger else "a smaller network: no board is large enough",
        )
