"""Utilities for every floor of the library: text, locks, lazy imports, torch's global state."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
