"""Create float graphs from torch modules and from files of other frameworks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdt_lava.support.lazy import lazy

if TYPE_CHECKING:
    from sdt_lava.importers.tracing.tracer import Described, trace

__all__ = ["Described", "trace"]

__getattr__ = lazy(
    __name__, {"Described": "tracing.tracer:Described", "trace": "tracing.tracer:trace"}
)
