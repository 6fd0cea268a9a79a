"""Counts, energy, tables and figures of what a network did.

>>> import sdt_lava
>>> counts = sdt_lava.report.count(result)  # doctest: +SKIP
>>> sdt_lava.report.energy(counts, model="loihi1").per_sample_nj  # doctest: +SKIP
>>> sdt_lava.report.figures.plot_run(result, "run.png")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sdt_lava.report import figures
    from sdt_lava.report.accounting import compare_accountings
    from sdt_lava.report.counts import count, merge
    from sdt_lava.report.energy_table import energy

# Resolved at first use: figures need matplotlib, counts the compiler.
_LAZY = {
    "compare_accountings": ("sdt_lava.report.accounting", "compare_accountings"),
    "count": ("sdt_lava.report.counts", "count"),
    "energy": ("sdt_lava.report.energy_table", "energy"),
    "figures": ("sdt_lava.report.figures", None),
    "merge": ("sdt_lava.report.counts", "merge"),
}

__all__ = ["compare_accountings", "count", "energy", "figures", "merge"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LAZY[name]
    loaded = import_module(module)
    return loaded if attribute is None else getattr(loaded, attribute)
