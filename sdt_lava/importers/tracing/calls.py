"""Calls of torch's functions while a network is traced, and the table of those understood."""

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
    """A call with at least one traced tensor.

    Parameters
    ----------
    name : str
        Of the operation, without underscores: ``add`` for ``+``, ``+=`` and ``add_``.
    args, kwargs : tuple, dict
        As given.
    result : object
        What torch returned, of the right shape and without numbers.
    builder : Builder
        Makes nodes.
    traced : callable
        Returns what a tensor stands for, or None.
    origin : callable
        Returns where the call is, for an operation of some name.
    context : object
        What a tracer knows of the whole network, `Context`.
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
        """Return an argument, whether it was given by position or by name."""
        if position < len(self.args):
            return self.args[position]
        if name in self.kwargs:
            return self.kwargs[name]
        if default is _MISSING:
            raise NoMeaning(f"no argument {name}")
        return default

    @property
    def subject(self) -> Traced:
        """What the first argument stands for."""
        first = self.args[0] if self.args else next(iter(self.kwargs.values()))
        traced = self.traced(first)
        if traced is None:
            raise NoMeaning("values of the network as a parameter of an operation")
        return traced

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the result."""
        return tuple(self.result.shape)


Handler = Callable[[Call], Any]

_CONVERSIONS = ("__float__", "__int__", "__bool__", "__index__", "__complex__", "__array__")

HANDLERS: dict[str, Handler] = {}


def handles(*names: str) -> Callable[[Handler], Handler]:
    """Register what understands some operations."""

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(names, handler))
        return handler

    return register


def operation_name(function: Any) -> str:
    """Return the name of one of torch's functions, without what says how it was called."""
    name = getattr(function, "__name__", "")
    if name in ("__get__", "__set__"):
        return str(function.__self__.__name__)
    # Conversions to Python's numbers are not those to another type of tensor.
    return name if name in _CONVERSIONS else name.strip("_")


def constant(value: Any) -> torch.Tensor:
    """Return a number or a tensor of known values as a tensor in float64."""
    tensor = torch.as_tensor(value)
    if tensor.device.type == "meta":
        raise NoMeaning(
            "a tensor that depends on the input in a way that torch does not tell",
            remedy="compute it with torch's functions, or before the network runs",
        )
    return tensor.detach().cpu().double()
