"""Counts, energy, tables and figures of runs.

>>> import sdt_lava
>>> counts = sdt_lava.report.count(result)  # doctest: +SKIP
>>> sdt_lava.report.energy(counts, model="loihi1").per_sample_nj  # doctest: +SKIP
>>> sdt_lava.report.figures.plot_run(result, "run.png")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdt_lava.support.lazy import lazy

if TYPE_CHECKING:
    from sdt_lava.counts.counts import merge
    from sdt_lava.report import figures
    from sdt_lava.report.accounting import compare_accountings
    from sdt_lava.report.counting import count
    from sdt_lava.report.energy_table import energy

__all__ = ["compare_accountings", "count", "energy", "figures", "merge"]

# Imported on demand: figures need matplotlib, counts need the compiler.
__getattr__ = lazy(
    __name__,
    {
        "compare_accountings": "accounting",
        "count": "counting",
        "energy": "energy_table",
        "merge": "sdt_lava.counts.counts",
    },
)
