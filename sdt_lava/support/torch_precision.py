"""Control the precision of torch's float32 products, through the old and the new settings.

Up to version 2.8, torch has a single setting, "float32 matmul precision". Since 2.9, each backend
and operation has its own; the old setting still exists, but reading it raises an error if the new
ones contradict one another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

# New settings that may permit rounding: backend and operation.
_PLACES = (("cuda", "matmul"), ("mkldnn", "matmul"), ("mkldnn", "conv"))
_EXACT = ("ieee", "none")

_read: Callable[[str, str], str] | None = getattr(torch._C, "_get_fp32_precision_getter", None)
_write: Any = getattr(torch._C, "_set_fp32_precision_setter", None)


def precisions() -> tuple[str, ...]:
    """Return the old setting, or "mixed", followed by all new settings."""
    return (_old_setting() or "mixed", *_new_settings())


def multiply_exactly() -> Callable[[], None]:
    """Make torch multiply at full precision; return a function that restores the settings."""
    old, new = _old_setting(), _new_settings()
    if old is not None:
        torch.set_float32_matmul_precision("highest")
    for place, setting in zip(_PLACES, _new_settings(), strict=False):
        if setting not in _EXACT:
            _write(*place, "ieee")

    def undo() -> None:
        if old is not None:
            torch.set_float32_matmul_precision(old)
        for place, setting in zip(_PLACES, new, strict=False):
            _write(*place, setting)

    return undo


def _old_setting() -> str | None:
    """Return the old setting, or None if it cannot express the new ones."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return None


def _new_settings() -> tuple[str, ...]:
    """Return the new settings in the order of `_PLACES`; empty if this torch has none."""
    return () if _read is None else tuple(_read(*place) for place in _PLACES)
