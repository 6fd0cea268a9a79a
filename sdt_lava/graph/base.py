"""What all kinds of node share: signals, names, shapes, and the registry of kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sdt_lava.errors import GraphError

Array = NDArray[np.generic]
Shape = tuple[int, ...]


class Signal(str, Enum):
    """What travels along an edge."""

    SPIKE = "spike"  # 0 or 1
    GRADED = "graded"  # signed integer payload
    CURRENT = "current"  # synaptic sum, not yet sent anywhere
    LOGITS = "logits"  # the network's result


EVENTS = frozenset({Signal.SPIKE, Signal.GRADED})
CURRENTS = frozenset({Signal.CURRENT})
SPIKES = frozenset({Signal.SPIKE})

NODE_KINDS: dict[str, type[Node]] = {}


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """Base of all nodes.

    Parameters
    ----------
    name : str
        Unique name; layers carry the name of the module they come from.
    inputs : tuple of str
        Names of the nodes read, in order.
    block : str
        The block of the network it belongs to, such as ``block.0.attn``.
    origin : str
        For a node that the compiler made: the node of the network it stands for.
    """

    name: str
    inputs: tuple[str, ...] = ()
    block: str = ""
    origin: str = ""

    kind: ClassVar[str] = ""
    accepts: ClassVar[frozenset[Signal]] = frozenset()
    emits: ClassVar[Signal] = Signal.CURRENT
    min_inputs: ClassVar[int] = 1
    max_inputs: ClassVar[int | None] = 1

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if cls.kind:
            NODE_KINDS[cls.kind] = cls

    def output_signal(self, signals: Sequence[Signal]) -> Signal:
        """Return the kind of signal emitted, given the kinds received."""
        return self.emits

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the output's shape ``(*shape)``, checking inputs and parameters.

        Raises
        ------
        GraphError
            If the inputs or the parameters do not fit together.
        """
        return shapes[0]

    def mismatch(self, found: object, allowed: object) -> GraphError:
        """Build the error for a shape or parameter that does not fit."""
        return GraphError(f"node {self.name!r} ({self.kind})", str(found), str(allowed))
