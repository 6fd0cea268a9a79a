"""Sweeps: compare one model with several weight widths and several lowerings."""

from sdt_lava.evaluate.sweep.row import SweepRow
from sdt_lava.evaluate.sweep.run import SweepOptions, sweep
from sdt_lava.evaluate.sweep.table import Sweep
from sdt_lava.support.lazy import lazy

__all__ = ["Sweep", "SweepOptions", "SweepRow", "sweep"]

__getattr__ = lazy(__name__)
