"""Back ends that run the integer graph: reference, engine and Lava."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
