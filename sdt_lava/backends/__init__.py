"""Run integer graphs and float models on the available back ends."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
