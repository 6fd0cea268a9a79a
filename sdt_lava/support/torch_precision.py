"""How exactly torch multiplies numbers of 32 bits, in the old settings and the new ones.

Up to 2.8 torch has one setting, "float32 matmul precision". Since 2.9 each backend and operation
has one of its own; the old one is still there, but reading it fails where they do not agree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

# What may round, of the new settings: backend and operation.
_PLACES = (("cuda", "matmul"), ("mkldnn", "matmul"), ("mkldnn", "conv"))
_EXACT = ("ieee", "none")

_read: Callable[[str, str], str] | None = getattr(torch._C, "_get_fp32_precision_getter", None)
_write: Any = getattr(torch._C, "_set_fp32_precision_setter", None)


def precisions() -> tuple[str, ...]:
    """Return all settings."""
    return (_old_setting() or "mixed", *_new_settings())


def multiply_exactly() -> Callable[[], None]:
    """Have torch multiply exactly; return what puts the settings back."""
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
    """Return the old setting; None if the new ones say something that it cannot."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return None


def _new_settings() -> tuple[str, ...]:
    """Return the new settings of all places; none where torch has none."""
    return () if _read is None else tuple(_read(*place) for place in _PLACES)
