"""Define the base class of a plan's operations."""

from __future__ import annotations

from abc import ABC, abstractmethod

from sdt_lava.engine.layout import Layout
from sdt_lava.engine.plan.buffers import Buffer, Reading, Task
from sdt_lava.engine.plan.workspace import Workspace


class Operation(ABC):
    """Operation of a plan.

    Parameters
    ----------
    nodes : tuple of str
        Nodes of the graph that the operation computes.
    target : Layout
        Layout of the output, whose rows are divided among the workers.
    """

    kind = ""
    # Whether a single worker computes the whole operation from all inputs.
    is_whole = False
    # Multiplications per step of one sample if nothing is skipped.
    macs = 0
    # Populations that the operation computes and whose state it stores.
    populations: tuple[str, ...] = ()

    def __init__(self, nodes: tuple[str, ...], target: Layout) -> None:
        self.nodes = nodes
        self.target = target
        self.reads: list[Reading] = []
        self.writes: list[Buffer] = []
        # Buffers that are read and written element by element, which may share memory.
        self.in_place: tuple[Buffer, Buffer] | None = None

    @abstractmethod
    def bind(self, work: Workspace) -> Task:
        """Return the task that computes rows in a workspace."""

    def describe(self) -> str:
        """Return how the operation is computed, for the plan's table."""
        return ""
