"""Run compiled networks in Lava's CPU simulator."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
