"""Hold the state of a traced run: modules, parameters, time steps and results."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import nn

from sdt_lava.importers.tracing.axes import Layout
from sdt_lava.importers.tracing.builder import Builder
from sdt_lava.importers.tracing.neurons import is_neuron
from sdt_lava.importers.tracing.refusals import NoMeaning
from sdt_lava.importers.tracing.symbols import Origin

T = TypeVar("T")


class Context:
    """State of a traced run.

    Attributes
    ----------
    builder : Builder
        Builder with the nodes created so far.
    steps : int or None
        Number of time steps; None until it is known.
    path : list of str
        Paths of the modules being called, innermost last.
    called : Counter
        Number of calls of each module.
    failed : str or None
        Path of the innermost module that raised an exception.
    """

    def __init__(self, module: nn.Module) -> None:
        self.builder = Builder()
        self.steps: int | None = None
        self.path: list[str] = [""]
        self.called: Counter[str] = Counter()
        self.failed: str | None = None
        self.modules = dict(module.named_modules())
        self.notes: list[str] = []
        # Inputs of neurons by call: path of the neurons and layout of the currents.
        self.reads: list[tuple[str, Layout]] = []
        self._names = {id(tensor): name for name, tensor in _tensors(module)}
        # Parameters that were used, with the version and address of their memory.
        self._used: dict[int, tuple[torch.Tensor, tuple[int, int]]] = {}
        # Tensors computed from parameters, and the names of these parameters.
        self._derived: dict[int, tuple[torch.Tensor, frozenset[str]]] = {}
        self._memo: dict[Any, Any] = {}

    def set_steps(self, number: int) -> None:
        """Set the number of time steps, which must be the same everywhere."""
        if self.steps not in (None, number):
            raise NoMeaning(f"{number} time steps after {self.steps}", "one number of steps")
        self.steps = number

    def once(self, key: Any, make: Callable[[], T]) -> T:
        """Return the result for a key, made on first use: all steps of a loop compute the same."""
        if key not in self._memo:
            self._memo[key] = make()
        value: T = self._memo[key]
        return value

    def key(self, tensor: torch.Tensor | None) -> Any:
        """Return a key that is equal for tensors with equal values."""
        if tensor is None:
            return None
        if id(tensor) in self._names:
            self._check_unchanged(tensor)
            return id(tensor)
        content = tensor.detach().cpu().contiguous().numpy()
        return tuple(tensor.shape), hashlib.sha256(content.tobytes()).hexdigest()

    def _check_unchanged(self, tensor: torch.Tensor) -> None:
        memory = tensor._version, tensor.data_ptr()
        if self._used.setdefault(id(tensor), (tensor, memory))[1] != memory:
            raise NoMeaning(
                f"{self._names[id(tensor)]}, which the network changes between two uses",
                "parameters that keep their values during a run",
            )

    def check_parameters(self) -> None:
        """Check that parameters have the values that they were used with.

        Raises
        ------
        NoMeaning
            If the network changed one of them after it was used.
        """
        for tensor, _ in self._used.values():
            self._check_unchanged(tensor)

    def names_of(self, tensors: Iterable[Any]) -> frozenset[str]:
        """Return the names of the parameters from which tensors were computed."""
        names: set[str] = set()
        for tensor in tensors:
            if id(tensor) in self._names:
                names.add(self._names[id(tensor)])
            elif id(tensor) in self._derived:
                names |= self._derived[id(tensor)][1]
        return frozenset(names)

    def derive(self, tensor: torch.Tensor, names: frozenset[str]) -> None:
        """Record the parameters from which a tensor was computed."""
        if names and id(tensor) not in self._names:
            self._derived[id(tensor)] = tensor, names

    def origin(self, operation: str, tensors: Iterable[Any]) -> Origin:
        """Return the location of an operation and the name of its node.

        Layers are named after their modules. Other operations of a module get names below it.
        """
        used = self.names_of(tensors)
        path = self.path[-1]
        owners = {name.rpartition(".")[0] for name in used if name.endswith("weight")}
        if operation in ("conv", "linear") and len(owners) == 1 and self._is_layer(*owners):
            (path,) = owners
        if self._is_layer(path):
            return Origin(self.path[-1], path, path.rpartition(".")[0], used)
        name = f"{path}.{operation}" if path else operation
        return Origin(self.path[-1], name, path, used)

    def _is_layer(self, path: str) -> bool:
        if not path:
            return False
        # Neurons may contain modules, such as surrogate gradients, which are not traced.
        module = self.modules[path]
        return is_neuron(module) or not any(True for _ in module.children())


def _tensors(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [*module.named_parameters(), *module.named_buffers()]
