"""Convert NIR graphs to float graphs."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
