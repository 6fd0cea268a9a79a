"""Define the values that tensors of a traced run represent.

A symbol represents a signal independently of time step, sample and order of axes, which `Traced`
adds. Symbols of linear operations are not yet nodes: normalisations, factors and further linear
operations are folded into them until a neuron or the network's end reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sdt_lava.errors import TraceError
from sdt_lava.importers.fold import FloatArray
from sdt_lava.importers.tracing.axes import Layout, Shape


@dataclass(frozen=True, eq=False)
class Symbol:
    """Base of all symbols: a signal without time and batch."""

    shape: Shape


@dataclass(frozen=True, eq=False)
class Events(Symbol):
    """Signal of a node, times a gain.

    Parameters
    ----------
    node : str
        Name of the node.
    is_binary : bool
        Whether the node sends spikes.
    gain : float
        Factor of the signal.
    """

    node: str
    is_binary: bool = True
    gain: float = 1.0


@dataclass(frozen=True)
class Windows:
    """Stride, padding, dilation and groups of a convolution."""

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1


@dataclass(frozen=True)
class Origin:
    """Location of an operation in the network.

    Parameters
    ----------
    module : str
        Path of the innermost module.
    name : str
        Name of the node to create.
    block : str
        Block of the node.
    parameters : frozenset of str
        Names of the parameters used.
    """

    module: str
    name: str
    block: str
    parameters: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Affine(Symbol):
    """Linear operation on events with a bias: ``gain * W s + bias``.

    Parameters
    ----------
    source : Events
        Input; its gain is not included in the weights.
    weight : ndarray or Tensor
        Weights ``(O, C / groups, kH, kW)`` of a convolution, or ``(O, I)`` without windows.
    windows : Windows or None
        Windows of a convolution.
    gain, bias : ndarray or None
        Values per output channel.
    origin : Origin
        Location of the operation.
    """

    source: Events
    weight: Any
    windows: Windows | None
    origin: Origin
    gain: FloatArray | None = None
    bias: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Total(Symbol):
    """Sum of currents."""

    terms: tuple[Symbol, ...]
    origin: Origin


@dataclass(frozen=True, eq=False)
class Count(Symbol):
    """Number of spiking tokens in each channel, times a gain."""

    source: Events
    origin: Origin
    gain: float = 1.0


@dataclass(frozen=True, eq=False)
class TokenAverage(Symbol):
    """Mean of currents over tokens, times a gain."""

    source: Symbol
    origin: Origin
    gain: float = 1.0


@dataclass(frozen=True, eq=False)
class Selection(Symbol):
    """Currents at every ``stride``-th row and column."""

    source: Symbol
    stride: int
    origin: Origin


@dataclass(frozen=True, eq=False)
class Highest(Symbol):
    """Maximum of currents in windows."""

    source: Symbol
    window: tuple[int, int, int]
    origin: Origin


@dataclass(frozen=True, eq=False)
class Votes(Symbol):
    """Number of spikes per group of neurons at the end of a network."""

    source: Events
    origin: Origin


@dataclass(frozen=True, eq=False)
class Membrane(Symbol):
    """Membrane potential that a neuron returns and receives again in the next step."""

    module: str


@dataclass(frozen=True, eq=False)
class Meaningless(Symbol):
    """Value that a graph cannot represent; the error is raised if anything depends on it."""

    error: TraceError


@dataclass(frozen=True)
class Steps:
    """Sum over some time steps.

    Parameters
    ----------
    present : frozenset of int
        Indices of the steps.
    gain : float
        Factor of the sum.
    """

    present: frozenset[int]
    gain: float = 1.0


# None if the value is the same at every step, or an axis of the tensor is time.
Time = Steps | None


@dataclass(frozen=True)
class Traced:
    """Value that a tensor represents.

    Parameters
    ----------
    symbol : Symbol
        Symbol of the signal.
    layout : Layout
        Meaning of each axis.
    time : Steps or None
        Time steps, if no axis is time and the value depends on the step.
    version : int
        Version of the tensor's memory, which differs if the memory was changed through another
        tensor.
    """

    symbol: Symbol
    layout: Layout
    time: Time = None
    version: int = field(default=-1, compare=False)

    @property
    def is_sum(self) -> bool:
        """Whether it is a sum or a mean over time steps."""
        return self.time is not None and len(self.time.present) > 1

    @property
    def share(self) -> float:
        """Fraction per time step of an offset that is added once to a sum over time."""
        if self.time is None or not self.is_sum:
            return 1.0
        return 1 / (self.time.gain * len(self.time.present))
