"""A Process that fails on request. A package of its own, as Lava executes every neighbour file."""

from tests.lava_faults.process import Fault, NoModel

__all__ = ["Fault", "NoModel"]
