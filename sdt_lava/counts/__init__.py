"""Exact counts of what a network did: events, operations, synaptic operations."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
