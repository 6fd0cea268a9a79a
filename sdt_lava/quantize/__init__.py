"""From a float graph to the integer graph: folding, bias gathering, scales, rounding, proofs."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
