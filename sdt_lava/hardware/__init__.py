"""Describe hardware targets, check their design rules and map networks to cores."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
