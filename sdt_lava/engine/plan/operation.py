"""What the operations of a plan have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

from sdt_lava.engine.layout import Layout
from sdt_lava.engine.plan.buffers import Buffer, Reading, Task
from sdt_lava.engine.plan.workspace import Workspace


class Operation(ABC):
    """One entry of a plan.

    Parameters
    ----------
    nodes : tuple of str
        Nodes of the graph that it computes.
    target : Layout
        Its output, whose rows are divided among the workers.
    """

    kind = ""
    # Whether one worker computes all of it, from all of its inputs.
    is_whole = False
    # Multiplications of one step of one sample if nothing is skipped.
    macs = 0
    # Neurons that it computes and whose state it keeps.
    populations: tuple[str, ...] = ()

    def __init__(self, nodes: tuple[str, ...], target: Layout) -> None:
        self.nodes = nodes
        self.target = target
        self.reads: list[Reading] = []
        self.writes: list[Buffer] = []
        # What is read and what is written, element by element, and may be the same memory.
        self.in_place: tuple[Buffer, Buffer] | None = None

    @abstractmethod
    def bind(self, work: Workspace) -> Task:
        """Return what computes rows in the arrays of a workspace."""

    def describe(self) -> str:
        """Return how it is computed, for the plan's table."""
        return ""
