"""Convert symbols to nodes when neurons or the network's end read them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sdt_lava.importers.fold import FloatArray
from sdt_lava.importers.tracing.linear import (
    identity,
    joined,
    mean_over_tokens,
    scaled,
    weight_of,
)
from sdt_lava.importers.tracing.refusals import NoMeaning
from sdt_lava.importers.tracing.symbols import (
    Affine,
    Count,
    Events,
    Highest,
    Membrane,
    Origin,
    Selection,
    Shape,
    Symbol,
    TokenAverage,
    Total,
    Votes,
    Windows,
)
from sdt_lava.ir import (
    Conv,
    Dense,
    Flatten,
    GroupSum,
    MaxPool,
    Node,
    Readout,
    Shortcut,
    Subsample,
    TokenMean,
    TokenSum,
)


def described(symbol: Symbol) -> str:
    """Describe a symbol in words."""
    if isinstance(symbol, Events):
        return "spikes" if symbol.is_binary else "the network's input"
    if isinstance(symbol, Membrane):
        return "the membrane potential of a neuron"
    if isinstance(symbol, Count):
        return "a count of spikes"
    return "votes" if isinstance(symbol, Votes) else "currents"


class Builder:
    """Nodes created so far, and the symbols that they compute.

    Attributes
    ----------
    nodes : dict of str to Node
        Nodes by name, in order of creation.
    parameters : dict of str to frozenset
        Names of the parameters that each node depends on.
    shortcuts : list of str
        Sums without a corresponding module.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.parameters: dict[str, frozenset[str]] = {}
        self.shortcuts: list[str] = []
        # A reference to each symbol is kept, so that its id is not reused.
        self._made: dict[int, tuple[Symbol, tuple[str, float]]] = {}

    def free_name(self, wanted: str) -> str:
        """Return an unused name."""
        name, number = wanted, 2
        while name in self.nodes:
            name, number = f"{wanted}_{number}", number + 1
        return name

    def add(self, kind: type[Node], origin: Origin, inputs: tuple[str, ...], **fields: Any) -> str:
        """Create a node and return its name."""
        name = self.free_name(origin.name)
        self.nodes[name] = kind(name=name, inputs=inputs, block=origin.block, **fields)
        self.parameters[name] = origin.parameters
        return name

    def is_made(self, symbol: Symbol) -> bool:
        """Return whether a symbol is already a node."""
        return id(symbol) in self._made

    def current(self, symbol: Symbol, reader: Origin) -> tuple[str, float]:
        """Return the node that sends a current, and the factor of the current.

        Raises
        ------
        NoMeaning
            If the symbol is not a current.
        """
        if id(symbol) not in self._made:
            self._made[id(symbol)] = symbol, self._make(symbol, reader)
        return self._made[id(symbol)][1]

    def _make(self, symbol: Symbol, reader: Origin) -> tuple[str, float]:
        if isinstance(symbol, Events):
            origin = replace(reader, name=f"{reader.name}.input", parameters=frozenset())
            return self._make(identity(symbol, origin), reader)
        if isinstance(symbol, Affine):
            return self._synapse(symbol), 1.0
        if isinstance(symbol, Total):
            return self._sum(symbol, reader), 1.0
        if isinstance(symbol, Count):
            return self.add(TokenSum, symbol.origin, (symbol.source.node,)), symbol.gain
        if isinstance(symbol, TokenAverage):
            source, gain = self.current(symbol.source, reader)
            return self.add(TokenMean, symbol.origin, (source,)), symbol.gain * gain
        if isinstance(symbol, Selection):
            source, gain = self.current(symbol.source, reader)
            return self.add(Subsample, symbol.origin, (source,), stride=symbol.stride), gain
        if isinstance(symbol, Highest):
            source, gain = self.current(symbol.source, reader)
            fields = dict(zip(("kernel", "stride", "padding"), symbol.window, strict=True))
            return self.add(MaxPool, symbol.origin, (source,), **fields), gain
        raise NoMeaning(f"neurons that read {described(symbol)}", "currents")

    def _synapse(self, affine: Affine) -> str:
        fields: dict[str, Any] = {"weight": weight_of(affine), "bias": affine.bias}
        if affine.windows is None:
            return self.add(Dense, affine.origin, (affine.source.node,), **fields)
        return self.add(
            Conv, affine.origin, (affine.source.node,), **fields, **vars(affine.windows)
        )

    def _sum(self, total: Total, reader: Origin) -> str:
        arriving = [self.current(term, reader) for term in total.terms]
        if any(gain != 1 for _, gain in arriving):
            raise NoMeaning("a sum of currents of which one is a multiple of a pooled one")
        names = {name for name, _ in arriving}
        # Nodes are in order of creation, so the stream precedes the terms added to it.
        ordered = tuple(name for name in self.nodes if name in names)
        name = self.add(Shortcut, total.origin, ordered)
        if total.origin.name.rpartition(".")[2] == "shortcut":
            self.shortcuts.append(name)
        return name

    def affine(self, symbol: Symbol) -> Affine:
        """Return a symbol as a linear operation on events.

        Raises
        ------
        NoMeaning
            If it is not linear.
        """
        if isinstance(symbol, Affine):
            return symbol
        if isinstance(symbol, Count):
            tokens = float(np.prod(symbol.source.shape[1:]))
            mean = mean_over_tokens(
                symbol.source, symbol.origin, symbol.gain * symbol.source.gain * tokens
            )
            return replace(mean, source=replace(mean.source, gain=1.0))
        if isinstance(symbol, TokenAverage):
            return self._averaged(self.affine(symbol.source), symbol)
        raise NoMeaning(
            f"a linear operation on {described(symbol)}",
            "on spikes or the network's input",
            "put neurons between linear operations, or sum after them",
        )

    def _averaged(self, first: Affine, symbol: TokenAverage) -> Affine:
        channels, *sides = first.shape
        weight = np.full((channels, 1, *sides), symbol.gain / float(np.prod(sides)))
        windows = Windows(groups=channels)
        return joined(first, weight, windows, (channels, 1, 1), first.origin)

    def linear(
        self,
        symbol: Symbol,
        weight: Any,
        bias: FloatArray | None,
        windows: Windows | None,
        shape: Shape,
        origin: Origin,
    ) -> Affine:
        """Return a linear operation on events, or on a linear function of events."""
        if isinstance(symbol, Events):
            return Affine(shape, symbol, weight, windows, origin, bias=bias)
        result = joined(self.affine(symbol), weight, windows, shape, origin)
        return result if bias is None else scaled(result, np.ones(len(bias)), bias)

    def rescaled(
        self, symbol: Symbol, gain: FloatArray, offset: FloatArray | None, origin: Origin
    ) -> Symbol:
        """Return ``gain * symbol + offset`` with one gain and offset per channel.

        Raises
        ------
        NoMeaning
            If there are no weights into which gain and offset can be folded.
        """
        uniform = float(gain[0]) if offset is None and (gain == gain[0]).all() else None
        if isinstance(symbol, Events):
            if uniform is not None:
                return replace(symbol, gain=symbol.gain * uniform)
            return scaled(identity(symbol, origin), gain, offset)
        if isinstance(symbol, Count | TokenAverage) and uniform is not None and uniform > 0:
            return replace(symbol, gain=symbol.gain * uniform)
        if isinstance(symbol, Affine):
            parameters = symbol.origin.parameters | origin.parameters
            named = replace(symbol, origin=replace(symbol.origin, parameters=parameters))
            return scaled(named, gain, offset)
        if isinstance(symbol, Count):
            eye = np.eye(len(gain))
            flat = joined(self.affine(symbol), eye, None, symbol.shape, symbol.origin)
            return scaled(flat, gain, offset)
        if isinstance(symbol, Highest) and not (gain >= 0).all():
            raise NoMeaning(
                "a normalisation with negative factors after a maximum of currents",
                remedy="normalise before the pooling",
            )
        if isinstance(symbol, Total):
            return self._rescaled_sum(symbol, gain, offset, origin)
        if isinstance(symbol, Highest | Selection | TokenAverage):
            inner = offset
            if isinstance(symbol, TokenAverage) and offset is not None:
                inner = offset / symbol.gain
            return replace(symbol, source=self.rescaled(symbol.source, gain, inner, origin))
        raise NoMeaning(f"a factor or an offset for {described(symbol)}")

    def _rescaled_sum(
        self, total: Total, gain: FloatArray, offset: FloatArray | None, origin: Origin
    ) -> Symbol:
        if self.is_made(total) and not (gain == 1).all():
            raise NoMeaning(
                "a factor or a normalisation for a residual stream that neurons read without it",
                "synapses that take the factor up in their weights",
                "normalise each branch before it is added to the stream",
            )
        first, *others = total.terms
        terms = [self.rescaled(first, gain, offset, origin)]
        terms += [self.rescaled(term, gain, None, origin) for term in others]
        return replace(total, terms=tuple(terms))

    def end(self, symbol: Symbol) -> str:
        """Create the last node of the network and return its name."""
        if isinstance(symbol, Events):
            if symbol.node == "input":
                raise NoMeaning("the input itself as the network's result")
            if symbol.gain < 0:
                raise NoMeaning(f"spikes times {symbol.gain:g} as the network's result", "spikes")
            return symbol.node
        if isinstance(symbol, Votes):
            groups = symbol.shape[0]
            return self.add(GroupSum, symbol.origin, (symbol.source.node,), groups=groups)
        if isinstance(symbol, Count | TokenAverage | Affine):
            return self._readout(self.affine(symbol))
        raise NoMeaning(
            f"a network that ends in {described(symbol)}",
            "a linear layer on spikes, or spikes",
            "end with a linear layer or with neurons",
        )

    def _readout(self, affine: Affine) -> str:
        if affine.windows is not None:
            if affine.shape[1:] != (1, 1):
                raise NoMeaning(f"a result of shape {affine.shape}", "(classes,)")
            eye, classes = np.eye(affine.shape[0]), affine.shape[:1]
            affine = joined(affine, eye, None, classes, affine.origin)
        source = affine.source.node
        if len(affine.source.shape) > 1:
            name = f"{affine.origin.name}.flatten"
            source = self.add(Flatten, replace(affine.origin, name=name), (source,))
        weight = weight_of(affine)
        return self.add(Readout, affine.origin, (source,), weight=weight, bias=affine.bias)
