"""All benchmarks: ``make bench`` prints the ratios and writes ``benchmarks/results/bench.json``.

A row module is a file ``engine_*.py`` or ``lava_*.py`` in this folder with

``def rows() -> Iterable[Row]``
    the comparisons, each as soon as it is measured, and
``TIME_LIMIT``
    the seconds after which it is stopped.

Each module runs in a process of its own: neither thread pools nor memory of one reach another.
``python -m benchmarks.bench engine_float`` runs only that module, and keeps the other rows of an
earlier run.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from benchmarks.common import RESULTS, Row, read_rows, run_python, write_rows
from sdt_lava.cli.console import make_table

OUTPUT = RESULTS / "bench.json"
_PATTERNS = ("engine_*.py", "lava_*.py")
# Beyond this, all that is left is skipped: the whole has to end within a quarter of an hour.
_BUDGET_S = 890.0

logger = logging.getLogger(__name__)
console = Console(highlight=False, width=160)


def module_names() -> list[str]:
    """Return the names of the row modules."""
    folder = Path(__file__).parent
    return sorted(path.stem for pattern in _PATTERNS for path in folder.glob(pattern))


def main() -> int:
    """Run the modules asked for; return 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", help="default: all of them")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    unknown = sorted(set(options.modules) - set(module_names()))
    if unknown:
        parser.error(f"no module {unknown[0]!r}; there are {', '.join(module_names())}")
    if options.measure is not None:
        _measure(options.modules[0], options.measure)
        return 0
    return _run_all(options.modules or module_names())


def _run_all(names: list[str]) -> int:
    """Run each module in its own process, and print and write after each."""
    rows = {row.name: row for row in read_rows(OUTPUT)} if OUTPUT.exists() else {}
    if names == module_names():
        rows = {}
    failed = []
    end = time.monotonic() + _BUDGET_S
    with tempfile.TemporaryDirectory() as folder:
        for position, name in enumerate(names, 1):
            logger.info("%d/%d %s", position, len(names), name)
            found, ended = _run_one(name, Path(folder) / f"{name}.json", end - time.monotonic())
            rows.update({row.name: row for row in found})
            write_rows(OUTPUT, rows.values())
            if not ended:
                failed.append(name)
    _print(list(rows.values()))
    if failed:
        logger.error("did not finish: %s", ", ".join(failed))
    return 1 if failed else 0


def _run_one(name: str, output: Path, left: float) -> tuple[list[Row], bool]:
    """Return the rows measured, and whether the module came to its end."""
    limit = min(left, importlib.import_module(f"benchmarks.{name}").TIME_LIMIT)
    if limit <= 0:
        logger.error("%s: no time left", name)
        return [], False
    try:
        arguments = ["-m", "benchmarks.bench", name, "--measure", str(output)]
        run_python(arguments, timeout=limit)
        ended = True
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        logger.error("%s: %s", name, error)
        ended = False
    return (read_rows(output) if output.exists() else []), ended


def _measure(name: str, output: Path) -> None:
    """Write the rows of one module, after each of them, so that a time limit loses only one."""
    done: list[Row] = []
    for row in importlib.import_module(f"benchmarks.{name}").rows():
        done.append(row)
        logger.info("  %s: %.2fx", row.name, row.ratio)
        write_rows(output, done)


def _print(rows: list[Row]) -> None:
    columns = {"comparison": "left", "ratio": "right", "target": "right", "": "left"}
    numbers = {"ours": "right", "peer": "right", "unit": "left", "spread": "right"}
    table = make_table("Benchmarks: how many times better than the peer", {**columns, **numbers})
    for row in rows:
        table.add_row(
            row.title,
            f"{row.ratio:.2f}",
            "" if row.target is None else f"{row.target:g}",
            "" if row.target is None else ("met" if row.met else "missed"),
            f"{row.ours:.4g}",
            f"{row.peer:.4g}",
            row.unit,
            f"{row.spread:.0%}",
        )
    console.print(table)
    console.print(f"written: {OUTPUT}; what it means: docs/performance.md")


if __name__ == "__main__":
    sys.exit(main())
