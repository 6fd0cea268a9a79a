"""Define the base of all kinds of nodes: signals, names, shapes and the registry of kinds."""

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
# State arrays of a population of neurons, in the order of their equations.
States = tuple[NDArray[Any], ...]
Entry = TypeVar("Entry")


class Signal(str, Enum):
    """Kind of signal on an edge."""

    SPIKE = "spike"  # 0 or 1
    GRADED = "graded"  # signed integer payload
    CURRENT = "current"  # synaptic sum that is not sent
    LOGITS = "logits"  # result of the network


EVENTS = frozenset({Signal.SPIKE, Signal.GRADED})
CURRENTS = frozenset({Signal.CURRENT})
SPIKES = frozenset({Signal.SPIKE})

NODE_KINDS: dict[str, type[Node]] = {}


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """Base class of all nodes, with defaults for what each kind must define.

    A node is immutable: its arrays are read-only, and copied if the given ones are writable.
    Results computed from a node therefore remain valid.

    A kind defines its properties in class variables (its *traits*) and its meaning in methods. A
    method that a kind needs but does not define raises :class:`~sdt_lava.errors.KindError`.

    Parameters
    ----------
    name : str
        Unique name; layers have the name of the module from which they come.
    inputs : tuple of str
        Names of the input nodes, in order.
    block : str
        Block of the network to which the node belongs, such as ``block.0.attn``.
    origin : str
        For a node made by the compiler, the node of the network that it represents.
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

    # Neurons, which form a population in a compiled graph, joined to others by connections.
    is_population: ClassVar[bool] = False
    # Neurons with a state that persists between steps; they `run`, others have an `equation`.
    has_memory: ClassVar[bool] = False
    # May remain after lowering: populations and connections.
    is_mappable: ClassVar[bool] = False
    # Made only by the compiler, and never in files.
    is_compiled_only: ClassVar[bool] = False
    # A constant per channel in the input also appears in the output, as for a sum or mean.
    carries_bias: ClassVar[bool] = False
    # The sum of outputs over time is the same function of the sums of inputs.
    is_linear: ClassVar[bool] = False
    # The sums of a connection have their own registers before and after an exponent.
    holds_sums: ClassVar[bool] = False
    # The result is the payload of a graded spike.
    sends_payload: ClassVar[bool] = False
    # Selects or sums positions of a current, so the current itself must be sent to it.
    selects: ClassVar[bool] = False
    # Computes the maximum of currents, which must therefore be known.
    takes_maximum: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                object.__setattr__(self, name, _read_only(value))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make arrays of copies and unpickled nodes read-only."""
        vars(self).update(state)
        self.__post_init__()

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if cls.kind:
            NODE_KINDS[cls.kind] = cls

    def output_signal(self, signals: Sequence[Signal]) -> Signal:
        """Return the kind of output signal for given input signals."""
        return self.emits

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the output shape ``(*shape)``, and check inputs and parameters.

        Raises
        ------
        GraphError
            If the inputs or parameters do not fit together.
        """
        return shapes[0]

    def equation(self, inputs: Sequence[IntArray]) -> IntArray:
        """Compute the output of a node without memory in plain NumPy, as its definition.

        Parameters
        ----------
        inputs : sequence of ndarray of int64
            Inputs of the node, ``(T, B, *shape)`` each.

        Returns
        -------
        ndarray of int64
            Output ``(T, B, *shape)``. For a kind that `holds_sums`, the exponent is not applied.
        """
        raise self.lacks("what it computes", "equation")

    def run(
        self, arriving: IntArray, start: States | None, watch: Watch | None = None
    ) -> tuple[IntArray, States]:
        """Run neurons with memory over the steps of samples.

        Parameters
        ----------
        arriving : ndarray of int64
            Sum of the inputs, ``(T, B, *shape)``.
        start : tuple of ndarray or None
            States before the first step; None for neurons at rest.
        watch : Watch, optional
            Watch that checks the values of registers.

        Returns
        -------
        sent : ndarray of int64
            Output ``(T, B, *shape)``.
        states : tuple of ndarray
            States after the last step.
        """
        raise self.lacks("how it runs", "run")

    def state_shapes(self, shape: Shape) -> list[Shape]:
        """Return the shapes of the states of neurons ``(B, *shape)`` with memory."""
        raise self.lacks("what its states are", "state_shapes")

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Return the interval of the output for given input intervals.

        Parameters
        ----------
        arriving : sequence of Interval
            Interval of each input.
        shapes : sequence of tuple of int
            Shapes of the inputs.
        """
        raise self.lacks("what it can emit", "interval")

    def relation(self, shapes: Sequence[Shape], operand: int = 0) -> Connectivity:
        """Return which values of an input reach which values of the output.

        Parameters
        ----------
        shapes : sequence of tuple of int
            Shapes of the inputs.
        operand : int
            Index of the input.
        """
        raise self.lacks("what reaches what", "relation")

    @property
    def sum_exponent(self) -> int | IntArray:
        """Exponent of the power of two that scales sums, rounding down; one or one per channel."""
        return 0

    @property
    def is_matrix(self) -> bool:
        """Whether the sums of a kind that `holds_sums` are those of a weight matrix."""
        return True

    def doublings(self, source: Shape) -> IntArray:
        """Return by channel how often the stored sums of a matrix are doubled (-1 if halved).

        Lava stores eight bits of a weight. Odd weights in a matrix with both signs are stored as
        twice their value, with an exponent smaller by one
        (:func:`sdt_lava.ir.numerics.lava_weights`). There is one matrix for each exponent.

        Parameters
        ----------
        source : tuple of int
            Shape of the node's input.
        """
        return np.zeros((), np.int64)

    def completed(self, sent: IntArray) -> IntArray:
        """Return the node's values from those that Lava's processes send."""
        return sent

    def entry_of(self, table: Mapping[type[Node], Entry], what: str, table_name: str) -> Entry:
        """Return the entry of a table of kinds for this node.

        Parameters
        ----------
        table : mapping
            Table with an entry for each kind.
        what : str
            Meaning of the entries, for the error.
        table_name : str
            Name of the table, for the error.

        Raises
        ------
        KindError
            If the table has no entry for the kind.
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
        """Build the error for something that a kind must define but does not.

        Parameters
        ----------
        what : str
            Meaning of what is missing.
        member : str
            Method or trait that must be defined.
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
    """Return the array if its memory is not writable, or a read-only copy."""
    part: object = array
    while isinstance(part, np.ndarray) and not part.flags.writeable:
        part = part.base
    if part is None or isinstance(part, bytes):
        return array
    copy = np.array(array)
    copy.flags.writeable = False
    return copy
