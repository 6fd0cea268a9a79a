"""Register the functions that evaluate kinds of nodes, and the context of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from sdt_lava.ir import Node, Signal
from sdt_lava.ir.bounds import Extremes
from sdt_lava.ir.evaluation import evaluate
from sdt_lava.ir.numerics import ACTIVATION_LIMIT, ACTIVATION_SHIFT, STATE_LIMIT, NeuronStates
from sdt_lava.ir.registers import carry, hold
from sdt_lava.ir.watch import Watch, look_at_neurons

if TYPE_CHECKING:
    from torch import Tensor

# Modules with evaluators of nodes; they import torch, which a compiled plan rarely needs.
_EVALUATORS = ("generic", "neurons", "sigma_delta")


@dataclass
class Context:
    """State that executors share during a run.

    Parameters
    ----------
    strict : bool
        Whether to raise an error if a value does not fit its register.
    extremes : dict of str to Extremes
        Largest magnitudes so far in each population of neurons.
    states : dict of str to tuple of ndarray
        States u and v of each population with memory, before the run (0 if missing) and after it.
    starts : dict of str to tuple of ndarray
        Initial states ``(*shape)`` of populations that do not start at rest.
    device : str
        Device of tensors.
    proved : frozenset of str
        Nodes whose values are proven to fit their registers.
    relayed : frozenset of str
        Currents that relays forward.
    watch : Watch
        Record of values that did not fit their registers.
    """

    strict: bool = True
    extremes: dict[str, Extremes] = field(default_factory=dict)
    states: NeuronStates = field(default_factory=dict)
    starts: NeuronStates = field(default_factory=dict)
    device: str = "cpu"
    proved: frozenset[str] = frozenset()
    relayed: frozenset[str] = frozenset()
    watch: Watch = field(default_factory=lambda: Watch(()))

    def constant(self, values: Any) -> Tensor:
        """Return integers as a tensor on the device of the run."""
        import torch

        return torch.from_numpy(np.array(values, np.int64)).to(self.device)

    def held(self, node: Any, sums: Tensor, source: Tensor) -> Tensor:
        """Return the output of a layer from its exact sums (:func:`sdt_lava.ir.registers.hold`).

        Parameters
        ----------
        node : Node
            Node of the layer.
        sums : Tensor of int64
            Sums ``(T, B, C, ...)`` before applying the exponent.
        source : Tensor
            Input of the layer.
        """
        from sdt_lava.engine.arithmetic import power_shift

        if node.name in self.proved:
            exponent = node.sum_exponent
            return power_shift(sums, exponent) if np.any(exponent) else sums
        return self.constant(hold(node, sums.cpu().numpy(), source.shape[2:], self.watch))

    def carried(self, node: Node, values: Tensor) -> Tensor:
        """Return the output of a relay (:func:`sdt_lava.ir.registers.carry`)."""
        if node.name in self.proved:
            return values
        return self.constant(carry(node, values.cpu().numpy(), self.watch))

    def seen(
        self, name: str, step: int, before: Extremes, activation: Tensor, current: Tensor | None,
        peak: Tensor,
    ) -> Extremes:  # fmt: skip
        """Check a step of neurons and return the largest magnitudes so far.

        Parameters
        ----------
        name, step : str and int
            Name of the population, and step.
        before : Extremes
            Largest magnitudes of the previous steps.
        activation, current, peak : Tensor of int64
            Values ``(B, ...)`` as for :func:`sdt_lava.ir.registers.look_at_neurons`.
        """
        from sdt_lava.engine.arithmetic import largest

        arrived, membrane = largest(activation), largest(peak)
        if current is not None:
            arrived = max(arrived, largest(current) >> ACTIVATION_SHIFT)
        if arrived > ACTIVATION_LIMIT or membrane > STATE_LIMIT:
            look_at_neurons(
                self.watch,
                name,
                step,
                activation=activation.cpu().numpy(),
                current=None if current is None else current.cpu().numpy(),
                peak=peak.cpu().numpy(),
            )
        return Extremes(max(before.activation, arrived), max(before.membrane, membrane))

    def note(self, name: str, seen: Extremes) -> None:
        """Update the largest magnitudes of a population."""
        self.extremes[name] = seen.or_larger(self.extremes.get(name))


Evaluate = Callable[[Any, "list[Tensor]", Context], "Tensor"]

_EVALUATE: dict[type[Node], Evaluate] = {}


def evaluates(kind: type[Node]) -> Callable[[Evaluate], Evaluate]:
    """Register a function that evaluates a kind of node exactly.

    The function takes the node, its inputs ``(T, B, *shape)`` (uint8 for spikes, a signed integer
    type for other signals, in any memory layout) and the context. It returns the output in the same
    format.
    """

    def register(function: Evaluate) -> Evaluate:
        _EVALUATE[kind] = function
        return function

    return register


def evaluator(kind: type[Node]) -> Evaluate:
    """Return the evaluator of a kind of node, by default its equation on NumPy arrays."""
    _import_evaluators()
    return _EVALUATE.get(kind, _by_equation)


def _by_equation(node: Node, inputs: list[Tensor], context: Context) -> Tensor:
    import torch

    arrays = [values.cpu().numpy().astype(np.int64) for values in inputs]
    if node.has_memory:
        arriving = np.sum(arrays, axis=0, dtype=np.int64)
        start = context.states.get(node.name, context.starts.get(node.name))
        sent, context.states[node.name] = node.run(arriving, start, context.watch)
    else:
        sent = evaluate(node, arrays, context.watch)
    values = context.constant(sent)
    return values.to(torch.uint8) if node.emits is Signal.SPIKE else values


@cache
def _import_evaluators() -> None:
    for name in _EVALUATORS:
        import_module(f"sdt_lava.engine.{name}")
