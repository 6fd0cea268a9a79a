"""Replace neurons during a traced run: they turn currents into spikes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sdt_lava.errors import TraceError
from sdt_lava.importers.tracing.axes import TIME, Axis, is_whole, roots, significant, size_of
from sdt_lava.importers.tracing.context import Context
from sdt_lava.importers.tracing.neurons import FIRST, STEPWISE, Neuron, neuron_of
from sdt_lava.importers.tracing.patching import potentials_of, set_potentials
from sdt_lava.importers.tracing.probe import check_neuron
from sdt_lava.importers.tracing.refusals import NoMeaning
from sdt_lava.importers.tracing.symbols import (
    Count,
    Events,
    Meaningless,
    Membrane,
    Steps,
    Symbol,
    Traced,
)
from sdt_lava.ir import Lif

# Finest units of a spike count in an integer graph.
_COUNT_UNITS = 64


@dataclass(frozen=True)
class Run:
    """Parts of a traced run that neurons use.

    Parameters
    ----------
    context : Context
        State of the run.
    traced : callable
        Function that returns the traced value of a tensor, or None.
    track : callable
        Function that returns a tensor for a traced value.
    error : callable
        Function that returns an error with the module and the line.
    """

    context: Context
    traced: Callable[[Any], Traced | None]
    track: Callable[[Tensor, Traced], Tensor]
    error: Callable[..., TraceError]


class Population:
    """Replacement of the ``forward`` of a module of neurons.

    Parameters
    ----------
    path : str
        Path of the module.
    module : nn.Module
        The neurons.
    run : Run
        The traced run.
    """

    def __init__(self, path: str, module: nn.Module, run: Run) -> None:
        self._path, self._module, self._run = path, module, run
        self._calls = 0
        self._reads: Symbol | None = None
        self._neuron: Neuron | None = None
        self._was_reset = False
        self._before = potentials_of(module)

    def restore(self) -> None:
        """Restore the membrane potentials from before the run."""
        set_potentials(self._module, self._before)

    def note_reset(self) -> None:
        """Record that the network resets the neurons."""
        self._was_reset = True

    def __call__(self, current: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Return spikes, and membrane potentials if the neurons return them."""
        run = self._run
        neuron = self._described()
        if not self._calls:
            self._was_reset = False
        spikes = torch.empty(current.shape, dtype=current.dtype, device="meta")
        traced = run.traced(current)
        try:
            if traced is None:
                raise NoMeaning("neurons that read what does not depend on the input")
            if not isinstance(traced.symbol, Meaningless):
                self._check_unchanged(neuron)
                self._check_membrane(neuron, (*args, *kwargs.values()))
                traced = self._fired(neuron, traced)
        except NoMeaning as refusal:
            error = run.error(refusal.found, refusal.allowed, refusal.remedy)
            traced = Traced(Meaningless((), error), ())
        self._calls += 1
        spikes = run.track(spikes, traced)
        membrane = torch.empty(current.shape, dtype=current.dtype, device="meta")
        symbol = Membrane(traced.symbol.shape, self._path)
        membrane = run.track(membrane, Traced(symbol, traced.layout, traced.time))
        if neuron.returns_membrane:
            return spikes, membrane
        set_potentials(self._module, dict.fromkeys(self._before, membrane))
        return spikes

    def _described(self) -> Neuron:
        if self._neuron is None:
            neuron = neuron_of(self._module, f"module {self._path!r}")
            assert neuron is not None
            with torch._C.DisableTorchFunction():
                check_neuron(self._module, neuron, f"module {self._path!r}")
            if neuron.note:
                self._run.context.notes.append(f"{self._path}: {neuron.note}")
            self._neuron = neuron
        return self._neuron

    def _check_unchanged(self, neuron: Neuron) -> None:
        """Check that the network neither resets nor changes the neurons between two calls."""
        if self._was_reset:
            raise NoMeaning(
                f"neurons that are reset before call {self._calls + 1}",
                "a reset before the first time step, or after the last one",
            )
        if neuron_of(self._module, f"module {self._path!r}") != neuron:
            raise NoMeaning(
                f"neurons that the network changes before call {self._calls + 1}",
                "the same threshold and leak at every step",
            )
        for name, before in self._before.items():
            value = getattr(self._module, name)
            if value is not before and not neuron.returns_membrane:
                self._check_own(value, f"{name} set by the network")

    def _check_membrane(self, neuron: Neuron, others: tuple[Any, ...]) -> None:
        """Check that neurons start at rest and continue with their own membrane potentials."""
        for value in others:
            if isinstance(value, Tensor):
                self._check_own(value, "a membrane potential from elsewhere")

    def _check_own(self, value: Any, found: str) -> None:
        held = self._run.traced(value)
        if held is None:
            if self._calls or bool(torch.as_tensor(value).any()):
                raise NoMeaning(found, "0 at the first step, and what the neurons leave after it")
        elif not (isinstance(held.symbol, Membrane) and held.symbol.module == self._path):
            raise NoMeaning("a membrane potential of other neurons, or a changed one", "their own")

    def _fired(self, neuron: Neuron, traced: Traced) -> Traced:
        if neuron.time == STEPWISE:
            time: Steps | None = self._stepwise(traced)
        else:
            self._check_all_steps(neuron, traced)
            time = None
        context = self._run.context
        context.reads.append((self._path, traced.layout))
        symbol = traced.symbol
        spikes = context.once(("lif", self._path, id(symbol)), lambda: self._node(neuron, symbol))
        return Traced(spikes, traced.layout, time)

    def _stepwise(self, traced: Traced) -> Steps:
        if any(TIME in roots([axis]) and significant(axis) for axis in traced.layout):
            raise NoMeaning(
                "neurons that take one step a call (step_mode = 's') and are given all of them",
                "step_mode = 'm', or a loop over time",
            )
        step = Steps(frozenset({self._calls}))
        if traced.time not in (None, step):
            raise NoMeaning(f"call {self._calls + 1} of neurons at another step", "step after step")
        if self._reads is not None and traced.symbol is not self._reads:
            raise NoMeaning(
                f"neurons that read something else in call {self._calls + 1} than in the first",
                "the same network at every step, and other neurons for every place",
            )
        self._reads = traced.symbol
        return step

    def _check_all_steps(self, neuron: Neuron, traced: Traced) -> None:
        if self._calls and neuron.keeps_state:
            raise NoMeaning(
                "neurons that are called twice, and go on with the state of the first call",
                "other neurons for every place",
            )
        if traced.time is not None or not traced.layout:
            raise NoMeaning("one time step for neurons that take all of them", "all steps")
        axis = traced.layout[0 if neuron.time == FIRST else -1]
        steps = size_of(axis)
        if not (is_whole(axis, TIME, steps) and roots([axis]) <= {TIME}):
            raise NoMeaning(
                f"neurons whose {neuron.time} axis is {_named(axis)}",
                "time: their state runs along it",
                "reshape to (T, B, ...) before the neurons" if neuron.time == FIRST else "",
            )
        self._run.context.set_steps(steps)

    def _node(self, neuron: Neuron, symbol: Symbol) -> Events:
        context = self._run.context
        origin = context.origin("lif", self._module.parameters())
        node, gain = context.builder.current(symbol, origin)
        if gain <= 0:
            raise NoMeaning(f"neurons that read a current times {gain:g}", "times a number above 0")
        threshold = neuron.threshold / gain
        if neuron.is_strict and isinstance(symbol, Count) and (threshold * _COUNT_UNITS) % 1 == 0:
            raise NoMeaning(
                f"neurons that fire above {threshold:g} and not at it, on counts of spikes",
                "a threshold that no count reaches exactly",
                "lower it by a hundredth: the spikes are those of neurons that fire at it",
            )
        name = context.builder.add(
            Lif,
            origin,
            (node,),
            threshold=threshold,
            voltage_decay=neuron.voltage_decay,
            current_decay=neuron.current_decay,
        )
        return Events(symbol.shape, name)


_NAMES = {"T": "time", "B": "the batch", "0": "channels", "1": "rows", "2": "columns"}


def _named(axis: Axis) -> str:
    names = [_NAMES.get(factor.root, "copies") for factor in significant(axis)]
    return " and ".join(names) or "of length 1"
