"""Sweeps: one model with several widths of weights and several lowerings, side by side."""

from sdt_lava.evaluate.sweep.run import SweepOptions, sweep
from sdt_lava.evaluate.sweep.table import Sweep, SweepRow
from sdt_lava.support.lazy import lazy

__all__ = ["Sweep", "SweepOptions", "SweepRow", "sweep"]

__getattr__ = lazy(__name__)
