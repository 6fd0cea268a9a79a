"""Which function evaluates which kind of node, and what it may know about the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdt_lava.graph import Node
from sdt_lava.numerics import NeuronStates
from sdt_lava.quantize.bounds import Extremes


@dataclass
class Context:
    """What executors share during a run.

    Parameters
    ----------
    strict : bool
        Raise when a sum leaves the hardware's range.
    extremes : dict of str to Extremes
        Largest magnitudes seen so far in each population of neurons.
    states : dict of str to tuple of ndarray
        u and v of each population with memory: where this run starts (0 where a name is missing),
        and where it has ended.
    starts : dict of str to tuple of ndarray
        States, ``(*shape)``, of those that a sample does not find at rest.
    device : torch.device
        Where tensors are.
    """

    strict: bool = True
    extremes: dict[str, Extremes] = field(default_factory=dict)
    states: NeuronStates = field(default_factory=dict)
    starts: NeuronStates = field(default_factory=dict)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def constant(self, values: Any) -> Tensor:
        """Return integers as a tensor on the device."""
        return torch.from_numpy(np.array(values, np.int64)).to(self.device)

    def note(self, name: str, seen: Extremes) -> None:
        """Remember the largest magnitudes of a population."""
        self.extremes[name] = seen.or_larger(self.extremes.get(name))


Evaluate = Callable[[Any, list[Tensor], Context], Tensor]

EVALUATE: dict[type[Node], Evaluate] = {}


def evaluates(kind: type[Node]) -> Callable[[Evaluate], Evaluate]:
    """Register the exact evaluation of a kind of node.

    The function takes the node, its inputs ``(T, B, *shape)`` (uint8 for spikes, a signed integer
    type for anything else, in any memory layout) and the context; it returns its output alike.
    """

    def register(function: Evaluate) -> Evaluate:
        EVALUATE[kind] = function
        return function

    return register
