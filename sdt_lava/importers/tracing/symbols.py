"""What a tensor of a traced run stands for.

A symbol says what is computed, whatever the time step, the sample and the order of axes; `Traced`
adds those. Symbols of linear operations are not nodes yet: normalisations, factors and further
linear operations are folded into them until a neuron or the network's end reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sdt_lava.errors import TraceError
from sdt_lava.importers.fold import FloatArray
from sdt_lava.importers.tracing.axes import Layout, Shape


@dataclass(frozen=True, eq=False)
class Symbol:
    """Base of all symbols: a signal of some shape, without time and batch."""

    shape: Shape


@dataclass(frozen=True, eq=False)
class Events(Symbol):
    """What a node sends, times a number.

    Parameters
    ----------
    node : str
        The node.
    is_binary : bool
        Whether it sends spikes.
    gain : float
        The number.
    """

    node: str
    is_binary: bool = True
    gain: float = 1.0


@dataclass(frozen=True)
class Windows:
    """How the kernel of a convolution moves."""

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1


@dataclass(frozen=True)
class Origin:
    """Where in the network something is computed.

    Parameters
    ----------
    module : str
        Path of the innermost module.
    name : str
        Name for a node.
    block : str
        Its block.
    parameters : frozenset of str
        Names of the parameters that it uses.
    """

    module: str
    name: str
    block: str
    parameters: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Affine(Symbol):
    """A linear operation on events, and a bias: ``gain * W s + bias``.

    Parameters
    ----------
    source : Events
        What is read; its gain is not in the weights.
    weight : ndarray or Tensor
        ``(O, C / groups, kH, kW)`` of a convolution, ``(O, I)`` without windows.
    windows : Windows or None
        Of a convolution.
    gain, bias : ndarray or None
        A number for each output channel.
    origin : Origin
        Where it is.
    """

    source: Events
    weight: Any
    windows: Windows | None
    origin: Origin
    gain: FloatArray | None = None
    bias: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Total(Symbol):
    """A sum of currents."""

    terms: tuple[Symbol, ...]
    origin: Origin


@dataclass(frozen=True, eq=False)
class Count(Symbol):
    """How many tokens spike in each channel, times a number."""

    source: Events
    origin: Origin
    gain: float = 1.0


@dataclass(frozen=True, eq=False)
class TokenAverage(Symbol):
    """The mean of currents over tokens, times a number."""

    source: Symbol
    origin: Origin
    gain: float = 1.0


@dataclass(frozen=True, eq=False)
class Selection(Symbol):
    """Every so many rows and columns of currents."""

    source: Symbol
    stride: int
    origin: Origin


@dataclass(frozen=True, eq=False)
class Highest(Symbol):
    """The maximum of currents in windows."""

    source: Symbol
    window: tuple[int, int, int]
    origin: Origin


@dataclass(frozen=True, eq=False)
class Votes(Symbol):
    """Spikes added up in groups of neurons, at the end of a network."""

    source: Events
    origin: Origin


@dataclass(frozen=True, eq=False)
class Membrane(Symbol):
    """The potential that a neuron returns and takes back at the next step."""

    module: str


@dataclass(frozen=True, eq=False)
class Meaningless(Symbol):
    """What a graph cannot express; an error if anything depends on it."""

    error: TraceError


@dataclass(frozen=True)
class Steps:
    """Values of single time steps, added up.

    Parameters
    ----------
    present : frozenset of int
        Which steps.
    gain : float
        What their sum is multiplied by.
    """

    present: frozenset[int]
    gain: float = 1.0


# None: the same at every step, or one of the tensor's axes is time.
Time = Steps | None


@dataclass(frozen=True)
class Traced:
    """What a tensor stands for.

    Parameters
    ----------
    symbol : Symbol
        The signal.
    layout : Layout
        What each axis is.
    time : Steps or None
        Which steps, if no axis is time and they are not all the same.
    version : int
        Of the tensor's memory: another one says that it was changed through another tensor.
    """

    symbol: Symbol
    layout: Layout
    time: Time = None
    version: int = field(default=-1, compare=False)
