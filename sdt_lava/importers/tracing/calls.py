"""Describe calls of torch functions during tracing, and register their handlers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from sdt_lava.importers.tracing.builder import Builder
from sdt_lava.importers.tracing.refusals import NoMeaning
from sdt_lava.importers.tracing.symbols import Origin, Traced

_MISSING: Any = object()


@dataclass(frozen=True)
class Call:
    """Call of a torch function with at least one traced tensor.

    Parameters
    ----------
    name : str
        Name of the operation, without underscores: ``add`` for ``+``, ``+=`` and ``add_``.
    args, kwargs : tuple, dict
        Arguments of the call.
    result : object
        Result of torch, with the right shape but without numbers.
    builder : Builder
        Builder of nodes.
    traced : callable
        Function that returns the traced value of a tensor, or None.
    origin : callable
        Function that returns the origin of an operation with a given name.
    context : object
        `Context` of the traced run.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any
    builder: Builder
    traced: Callable[[Any], Traced | None]
    origin: Callable[..., Origin]
    context: Any

    def arg(self, position: int, name: str, default: Any = _MISSING) -> Any:
        """Return an argument passed by position or by name."""
        if position < len(self.args):
            return self.args[position]
        if name in self.kwargs:
            return self.kwargs[name]
        if default is _MISSING:
            raise NoMeaning(f"no argument {name}")
        return default

    def known(self, position: int, name: str, default: Any = _MISSING) -> Any:
        """Return an argument that must not depend on the network's input."""
        value = self.arg(position, name, default)
        if self.traced(value) is not None:
            raise NoMeaning(
                f"a {name} that depends on the network's input",
                "parameters of the network, and what is computed from them",
            )
        return value

    @property
    def subject(self) -> Traced:
        """Traced value of the first argument."""
        traced = self.traced(self.arg(0, "input"))
        if traced is None:
            raise NoMeaning("values of the network as a parameter of an operation")
        return traced

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the result."""
        return tuple(self.result.shape)


Handler = Callable[[Call], Any]

CONVERSIONS = ("__float__", "__int__", "__bool__", "__index__", "__complex__", "__array__")

HANDLERS: dict[str, Handler] = {}


def handles(*names: str) -> Callable[[Handler], Handler]:
    """Register a handler for operations."""

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(names, handler))
        return handler

    return register


def operation_name(function: Any) -> str:
    """Return the name of a torch function without underscores."""
    name = getattr(function, "__name__", "")
    if name in ("__get__", "__set__"):
        return str(function.__self__.__name__)
    # Conversions to Python numbers differ from conversions of the tensor type, such as ``float``.
    return name if name in CONVERSIONS else name.strip("_")


def constant(value: Any) -> torch.Tensor:
    """Return a number or a tensor of known values as a float64 tensor."""
    tensor = torch.as_tensor(value)
    if tensor.device.type == "meta":
        raise NoMeaning(
            "a tensor that depends on the input in a way that torch does not tell",
            remedy="compute it with torch's functions, or before the network runs",
        )
    return tensor.detach().cpu().double()
