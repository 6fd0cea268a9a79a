"""Represent the populations and projections that a core map is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from sdt_lava.ir import Shape
from sdt_lava.ir.relations import Relation
from sdt_lava.support.once import cached_property


@dataclass(frozen=True)
class Population:
    """A population of neurons of one kind, or the network's input.

    Parameters
    ----------
    name, kind, block : str
        As in the compiled graph.
    shape : tuple of int
        Shape of the population; the first axis is the channel, the others are positions.
    on_host : bool
        Whether this is the input, which the host sends and no core holds.
    """

    name: str
    kind: str
    block: str
    shape: Shape
    on_host: bool

    @property
    def channels(self) -> int:
        """Size of the first axis."""
        return self.shape[0]

    @property
    def positions(self) -> int:
        """Product of all other axes."""
        return prod(self.shape[1:])

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width; the width is 1 unless the shape is ``(C, H, W)``."""
        return (self.shape[1], self.shape[2]) if len(self.shape) == 3 else (self.positions, 1)

    @property
    def size(self) -> int:
        """Number of neurons."""
        return prod(self.shape)


@dataclass(frozen=True, eq=False)
class Projection:
    """A connection from one population to another.

    Parameters
    ----------
    name : str
        Connection of the compiled graph.
    kind : str
        'conv', 'dense' or 'sparse'.
    source, reader : Population
        Populations that send and receive.
    channel, position : Relation
        Relations of channels and of positions; neurons are joined if both are.
    flat : bool
        Whether the projection is not such a product. `position` then joins flat indices, and
        `channel` is trivial.
    kernel : int
        Number of weights of an output channel that its positions can share; 0 if there are none.
    delay : int
        Additional delay in steps.
    """

    name: str
    kind: str
    source: Population
    reader: Population
    channel: Relation
    position: Relation
    flat: bool
    kernel: int
    delay: int

    @property
    def synapses(self) -> int:
        """Number of synapses, without any sharing."""
        return self.channel.pairs * self.position.pairs

    @property
    def reads_all_channels(self) -> bool:
        """Whether every channel of the reader reads every channel of the source."""
        return self.channel.pairs == self.channel.outputs * self.channel.inputs

    @property
    def weights(self) -> int:
        """Number of weights if each is stored once and shared."""
        return self.kernel * self.reader.channels

    @cached_property
    def key(self) -> tuple[object, ...]:
        """Key that equal projections share, regardless of their names."""
        return self.channel.key, self.position.key, self.flat, self.kernel, self.delay


@dataclass(frozen=True, eq=False)
class Wiring:
    """All populations and projections of a network.

    Parameters
    ----------
    populations : mapping of str to Population
        Populations in topological order, input first.
    projections : tuple of Projection
        All connections.
    output : str or None
        Population that sends the network's result to the host; None if the host reads membranes.
    """

    populations: Mapping[str, Population]
    projections: tuple[Projection, ...]
    output: str | None

    @cached_property
    def incoming(self) -> Mapping[str, tuple[Projection, ...]]:
        """Projections that end at each population."""
        return self._by_population("reader")

    @cached_property
    def outgoing(self) -> Mapping[str, tuple[Projection, ...]]:
        """Projections that start at each population."""
        return self._by_population("source")

    @property
    def on_cores(self) -> tuple[Population, ...]:
        """Populations that cores hold."""
        return tuple(p for p in self.populations.values() if not p.on_host)

    def _by_population(self, end: str) -> dict[str, tuple[Projection, ...]]:
        by_population: dict[str, list[Projection]] = {name: [] for name in self.populations}
        for projection in self.projections:
            by_population[getattr(projection, end).name].append(projection)
        return {name: tuple(projections) for name, projections in by_population.items()}
