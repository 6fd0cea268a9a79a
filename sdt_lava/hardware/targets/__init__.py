"""Describe compilation targets: limits, boards and supported kinds, each with its source."""

from sdt_lava.compiler.target import LIMITS, Board, Limit, Target
from sdt_lava.hardware.targets.read import BUILT_IN_TARGETS, load_target, read_target

__all__ = [
    "BUILT_IN_TARGETS",
    "LIMITS",
    "Board",
    "Limit",
    "Target",
    "load_target",
    "read_target",
]
