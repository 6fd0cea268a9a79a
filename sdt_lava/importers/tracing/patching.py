"""Temporary replacement of methods and membrane potentials of modules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def method_replaced(module: nn.Module, name: str, method: Any) -> Iterator[None]:
    """Replace a method of a module inside the block."""
    attributes = module.__dict__
    is_own, before = name in attributes, attributes.get(name)
    attributes[name] = method
    try:
        yield
    finally:
        if is_own:
            attributes[name] = before
        else:
            attributes.pop(name, None)


def original_of(module: nn.Module) -> nn.Module | None:
    """Return the module that ``torch.compile`` wrapped, or None."""
    if isinstance(module, torch.jit.ScriptModule):
        return None
    return module._modules.get("_orig_mod")


@contextmanager
def uncompiled(module: nn.Module) -> Iterator[None]:
    """Bypass ``torch.compile`` inside the block."""
    with ExitStack() as stack:
        for inner in module.modules():
            original = original_of(inner)
            if original is not None:
                stack.enter_context(method_replaced(inner, "forward", original))
            if inner.__dict__.get("_compiled_call_impl") is not None:
                stack.enter_context(method_replaced(inner, "_compiled_call_impl", None))
        yield


# Attributes in which libraries keep membrane potentials.
_POTENTIALS = ("v", "mem")


def potentials_of(module: nn.Module) -> dict[str, Any]:
    """Return the membrane potentials that a module keeps."""
    held = ((name, getattr(module, name, None)) for name in _POTENTIALS)
    return {name: value for name, value in held if value is not None}


def set_potentials(module: nn.Module, values: dict[str, Any]) -> None:
    """Set the membrane potentials that a module keeps."""
    for name, value in values.items():
        setattr(module, name, value)
