"""Sweeps: one model with several widths of weights and several lowerings, side by side."""

from sdt_lava.lazy import lazy
from sdt_lava.sweep.run import SweepOptions, sweep
from sdt_lava.sweep.table import Sweep, SweepRow

__all__ = ["Sweep", "SweepOptions", "SweepRow", "sweep"]

__getattr__ = lazy(__name__)
