"""Quantize a float graph to the integer graph: scales, rounding and overflow proofs."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
