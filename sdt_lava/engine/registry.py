"""Which function evaluates which kind of node, and what it may know about the run."""

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

# Modules whose functions evaluate nodes; they import torch, which a compiled plan rarely needs.
_EVALUATORS = ("generic", "neurons", "sigma_delta")


@dataclass
class Context:
    """What executors share during a run.

    Parameters
    ----------
    strict : bool
        Raise when a value does not fit its register.
    extremes : dict of str to Extremes
        Largest magnitudes seen so far in each population of neurons.
    states : dict of str to tuple of ndarray
        u and v of each population with memory: where this run starts (0 where a name is missing),
        and where it has ended.
    starts : dict of str to tuple of ndarray
        States, ``(*shape)``, of those that a sample does not find at rest.
    device : str
        Where tensors are.
    proved : frozenset of str
        Nodes whose values are known to fit their registers.
    relayed : frozenset of str
        Currents that relays send on.
    watch : Watch
        What did not fit.
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
        """Return integers as a tensor on the device."""
        import torch

        return torch.from_numpy(np.array(values, np.int64)).to(self.device)

    def held(self, node: Any, sums: Tensor, source: Tensor) -> Tensor:
        """Return what a layer sends, from its exact sums (:func:`sdt_lava.ir.registers.hold`).

        Parameters
        ----------
        node : Node
            The layer.
        sums : Tensor of int64
            ``(T, B, C, ...)`` before the exponent.
        source : Tensor
            What it reads.
        """
        from sdt_lava.engine.arithmetic import power_shift

        if node.name in self.proved:
            exponent = node.sum_exponent
            return power_shift(sums, exponent) if np.any(exponent) else sums
        return self.constant(hold(node, sums.cpu().numpy(), source.shape[2:], self.watch))

    def carried(self, node: Node, values: Tensor) -> Tensor:
        """Return what a relay sends (:func:`sdt_lava.ir.registers.carry`)."""
        if node.name in self.proved:
            return values
        return self.constant(carry(node, values.cpu().numpy(), self.watch))

    def seen(
        self, name: str, step: int, before: Extremes, activation: Tensor, current: Tensor | None,
        peak: Tensor,
    ) -> Extremes:  # fmt: skip
        """Look at a step of neurons; return the largest magnitudes up to now.

        Parameters
        ----------
        name, step : str and int
            Population and step.
        before : Extremes
            Largest magnitudes of the steps before.
        activation, current, peak : Tensor of int64
            As of :func:`sdt_lava.ir.registers.look_at_neurons`, ``(B, ...)``.
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
        """Remember the largest magnitudes of a population."""
        self.extremes[name] = seen.or_larger(self.extremes.get(name))


Evaluate = Callable[[Any, "list[Tensor]", Context], "Tensor"]

_EVALUATE: dict[type[Node], Evaluate] = {}


def evaluates(kind: type[Node]) -> Callable[[Evaluate], Evaluate]:
    """Register the exact evaluation of a kind of node.

    The function takes the node, its inputs ``(T, B, *shape)`` (uint8 for spikes, a signed integer
    type for anything else, in any memory layout) and the context; it returns its output alike.
    """

    def register(function: Evaluate) -> Evaluate:
        _EVALUATE[kind] = function
        return function

    return register


def evaluator(kind: type[Node]) -> Evaluate:
    """Return what evaluates a kind of node: its equation on NumPy arrays, if nothing else does."""
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
