"""What a tracer knows of the whole network: modules, parameters, steps, and what was computed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import nn

from sdt_lava.importers.tracing.axes import Layout
from sdt_lava.importers.tracing.builder import Builder
from sdt_lava.importers.tracing.refusals import NoMeaning
from sdt_lava.importers.tracing.symbols import Origin

T = TypeVar("T")


class Context:
    """State of one traced run.

    Attributes
    ----------
    builder : Builder
        The nodes made so far.
    steps : int or None
        Number of time steps, once it is known.
    path : list of str
        Modules that are being called, the innermost last.
    called : Counter
        How often each module was called.
    """

    def __init__(self, module: nn.Module) -> None:
        self.builder = Builder()
        self.steps: int | None = None
        self.path: list[str] = [""]
        self.called: Counter[str] = Counter()
        self.modules = dict(module.named_modules())
        self.notes: list[str] = []
        # What neurons read, call by call: their path, and the layout of the currents.
        self.reads: list[tuple[str, Layout]] = []
        self._names = {id(tensor): name for name, tensor in _tensors(module)}
        # Tensors that were computed from parameters, and from which.
        self._derived: dict[int, tuple[torch.Tensor, frozenset[str]]] = {}
        self._memo: dict[Any, Any] = {}

    def set_steps(self, number: int) -> None:
        """Take note of the number of time steps, which is the same everywhere."""
        if self.steps not in (None, number):
            raise NoMeaning(f"{number} time steps after {self.steps}", "one number of steps")
        self.steps = number

    def once(self, key: Any, make: Callable[[], T]) -> T:
        """Return what was made for a key before: each step of a loop computes the same."""
        if key not in self._memo:
            self._memo[key] = make()
        value: T = self._memo[key]
        return value

    def key(self, tensor: torch.Tensor | None) -> Any:
        """Return something that is equal for tensors of equal values."""
        if tensor is None or id(tensor) in self._names:
            return None if tensor is None else id(tensor)
        content = tensor.detach().cpu().contiguous().numpy()
        return tuple(tensor.shape), hashlib.sha256(content.tobytes()).hexdigest()

    def names_of(self, tensors: Iterable[Any]) -> frozenset[str]:
        """Return the parameters that tensors are, or were computed from."""
        names: set[str] = set()
        for tensor in tensors:
            if id(tensor) in self._names:
                names.add(self._names[id(tensor)])
            elif id(tensor) in self._derived:
                names |= self._derived[id(tensor)][1]
        return frozenset(names)

    def derive(self, tensor: torch.Tensor, names: frozenset[str]) -> None:
        """Take note of the parameters that a tensor was computed from."""
        if names and id(tensor) not in self._names:
            self._derived[id(tensor)] = tensor, names

    def origin(self, operation: str, tensors: Iterable[Any]) -> Origin:
        """Return where an operation is, and how its node is called.

        Layers are called as their modules; what a module computes by itself is named below it.
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
        return bool(path) and not any(True for _ in self.modules[path].children())


def _tensors(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [*module.named_parameters(), *module.named_buffers()]
