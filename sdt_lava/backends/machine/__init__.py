"""The back end 'machine': compiled graphs step by machine step, in NumPy."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
