"""What all kinds of node share: signals, names, shapes, and the registry of kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from sdt_lava.errors import GraphError, KindError
from sdt_lava.ir.intervals import Interval
from sdt_lava.ir.numerics import IntArray, Shape
from sdt_lava.ir.relations import Connectivity
from sdt_lava.ir.watch import Watch

Array = NDArray[np.generic]
# Of neurons, by whatever name their equations give to each part: arrays of one population.
States = tuple[NDArray[Any], ...]
Entry = TypeVar("Entry")


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
    """Base of all nodes: what a kind has to say about itself, and what it is if it says nothing.

    A node never changes: its arrays are read-only, copies of what was given unless nobody can
    write to that. So whatever was computed from a node stays true.

    A kind says what it is in class variables (its *traits*), and what it means in methods. A
    method that a kind needs and lacks raises :class:`~sdt_lava.errors.KindError`.

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

    # Neurons: in a compiled graph a population of its own, joined to others by connections.
    is_population: ClassVar[bool] = False
    # Neurons whose state goes from one step to the next; they `run`, others have an `equation`.
    has_memory: ClassVar[bool] = False
    # What may be left when everything has been lowered: populations and connections.
    is_mappable: ClassVar[bool] = False
    # Only the compiler makes it: it is in no file.
    is_compiled_only: ClassVar[bool] = False
    # A constant for each channel that arrives also leaves, as from a sum or a mean.
    carries_bias: ClassVar[bool] = False
    # The sum over time of what leaves is the same function of the sums of what arrives.
    is_linear: ClassVar[bool] = False
    # Its sums are those of a connection, in a register of their own before and after an exponent.
    holds_sums: ClassVar[bool] = False
    # What it computes is the payload of a graded spike.
    sends_payload: ClassVar[bool] = False
    # It picks some positions of a current, or adds them up: the current itself is sent to it.
    selects: ClassVar[bool] = False
    # It takes the largest of some currents, which therefore have to be known.
    takes_maximum: ClassVar[bool] = False

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

    def equation(self, inputs: Sequence[IntArray]) -> IntArray:
        """Return what a node without memory computes, in plain NumPy, obviously right.

        Parameters
        ----------
        inputs : sequence of ndarray of int64
            What it reads, ``(T, B, *shape)`` each.

        Returns
        -------
        ndarray of int64
            ``(T, B, *shape)``; of a kind that `holds_sums`, before its exponent.
        """
        raise self.lacks("what it computes", "equation")

    def run(
        self, arriving: IntArray, start: States | None, watch: Watch | None = None
    ) -> tuple[IntArray, States]:
        """Run neurons with memory over the steps of samples.

        Parameters
        ----------
        arriving : ndarray of int64
            Sum of what arrives, ``(T, B, *shape)``.
        start : tuple of ndarray or None
            Their states before the first step; None is rest.
        watch : Watch, optional
            Looks at what they hold.

        Returns
        -------
        sent : ndarray of int64
            ``(T, B, *shape)``.
        states : tuple of ndarray
            After the last step.
        """
        raise self.lacks("how it runs", "run")

    def state_shapes(self, shape: Shape) -> list[Shape]:
        """Return the shapes of the states of neurons ``(B, *shape)`` with memory."""
        raise self.lacks("what its states are", "state_shapes")

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Return what a node can emit, from what arrives; a rule of interval arithmetic.

        Parameters
        ----------
        arriving : sequence of Interval
            What each input can be.
        shapes : sequence of tuple of int
            Shapes of the inputs.
        """
        raise self.lacks("what it can emit", "interval")

    def relation(self, shapes: Sequence[Shape], operand: int = 0) -> Connectivity:
        """Return which values of an input reach which of the output.

        Parameters
        ----------
        shapes : sequence of tuple of int
            Shapes of the inputs.
        operand : int
            Which of the inputs.
        """
        raise self.lacks("what reaches what", "relation")

    @property
    def sum_exponent(self) -> int | IntArray:
        """Power of two that multiplies the sums, rounding down; one, or one for each channel."""
        return 0

    @property
    def is_matrix(self) -> bool:
        """Whether the sums of a kind that `holds_sums` are those of a matrix of weights."""
        return True

    def doublings(self, source: Shape) -> IntArray:
        """Return how often the stored sums of a matrix are doubled (or halved, -1), by channel.

        Lava keeps eight bits of a weight; odd ones with both signs are stored as twice their
        value, with an exponent that is one smaller (:func:`sdt_lava.ir.numerics.lava_weights`).
        There is a matrix for each exponent.

        Parameters
        ----------
        source : tuple of int
            Shape of what the node reads.
        """
        return np.zeros((), np.int64)

    def completed(self, sent: IntArray) -> IntArray:
        """Return the node's values, from those that Lava's processes send."""
        return sent

    def entry_of(self, table: Mapping[type[Node], Entry], what: str, table_name: str) -> Entry:
        """Return what a table of kinds has for this node.

        Parameters
        ----------
        table : mapping
            By kind.
        what : str
            What the table says of a kind.
        table_name : str
            Where it is.

        Raises
        ------
        KindError
            If it has nothing.
        """
        if type(self) not in table:
            raise KindError(
                f"node {self.name!r} ({self.kind})",
                f"nothing says {what}",
                ", ".join(kind.kind for kind in table),
                f"add {type(self).__name__} to {table_name}",
            )
        return table[type(self)]

    def lacks(self, what: str, member: str) -> KindError:
        """Build the error for something that a kind would have to say and does not.

        Parameters
        ----------
        what : str
            What it does not say.
        member : str
            Method or trait that says it.
        """
        return KindError(
            f"node {self.name!r} ({self.kind})",
            f"its kind does not say {what}",
            "a kind that does",
            f"define {type(self).__name__}.{member}",
        )

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
