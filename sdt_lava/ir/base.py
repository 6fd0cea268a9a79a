"""What all kinds of node share: signals, names, shapes, and the registry of kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

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

    A node never changes: its arrays are read-only, copies of what was given unless nobody can
    write to that. So whatever was computed from a node stays true.

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

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                object.__setattr__(self, name, _read_only(value))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make copies, and what comes out of a pickle, read-only, too."""
        vars(self).update(state)
        self.__post_init__()

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


def _read_only(array: Array) -> Array:
    """Return the array itself if nobody can write to its memory, or a copy of it."""
    part: object = array
    while isinstance(part, np.ndarray) and not part.flags.writeable:
        part = part.base
    if part is None or isinstance(part, bytes):
        return array
    copy = np.array(array)
    copy.flags.writeable = False
    return copy
