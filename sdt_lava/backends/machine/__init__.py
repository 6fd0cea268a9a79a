"""Run compiled graphs by machine steps in NumPy, as back end 'machine'."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
