"""``make faults``: every fault, and a table of what came of them.

    python -m benchmarks.faults [--only WORDS]

Needs Linux, and the right to make a mount namespace (``unshare``), in which small disks are
mounted that nobody else sees. Results go to ``benchmarks/results/faults.json``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

# One thread: children are forked.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
_IMPORTS = (
    "matplotlib.figure", "sdt_lava.families", "sdt_lava.evaluate", "sdt_lava.model",
    "scipy.optimize", "sdt_lava.nir", "sdt_lava.quantize.export", "sdt_lava.training.fine_tune",
    "sdt_lava.report.core_map_figure", "sdt_lava.report.figures", "sdt_lava.report.page",
    "sdt_lava.engine", "sdt_lava.backends.lava.run", "sdt_lava.ir.reference", "torch",
)  # fmt: skip
_INSIDE = "SDT_LAVA_FAULTS_NAMESPACE"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make faults")
    parser.add_argument("--only", default="", help="only kinds and commands with these words")
    options = parser.parse_args()
    if _INSIDE not in os.environ:
        sys.exit(_in_namespace())
    rows, failures, seconds = run_all(options.only)
    show(rows, failures)
    if not options.only:
        save(rows, failures, seconds)
    sys.exit(bool(failures))


def _in_namespace() -> int:
    unshare = shutil.which("unshare")
    probe = [unshare or "", "--map-root-user", "--mount"]
    if unshare is None or subprocess.run([*probe, "true"], check=False).returncode:
        print("make faults: needs unshare, and the right to mount (Linux)", file=sys.stderr)
        return 2
    again = [*probe, sys.executable, "-m", "benchmarks.faults", *sys.argv[1:]]
    return subprocess.run(again, env={**os.environ, _INSIDE: "1"}, check=False).returncode


def run_all(only: str) -> tuple[list[dict[str, Any]], list[str], float]:
    """Run all cases; returns a row for each kind, what was wrong, and the time."""
    began = time.monotonic()
    rows: dict[str, dict[str, Any]] = {}
    failures: list[str] = []
    # Shared memory of our own, so that other programs' is not looked at.
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/dev/shm"], check=True)
    with tempfile.TemporaryDirectory(prefix="faults-inputs-") as folder:
        try:
            for kind, name, case in _cases(Path(folder)):
                if only in f"{kind}: {name}":
                    _count(rows, failures, kind, name, case)
        finally:
            _unmount(Path(folder))
    return list(rows.values()), failures, time.monotonic() - began


def _cases(folder: Path) -> Iterator[Any]:
    from benchmarks.faults.child import run_child
    from benchmarks.faults.commands import command_cases
    from benchmarks.faults.lava import lava_cases
    from sdt_lava.cli.ending import reserve_buffers
    from tests.cli.writers import make_inputs, save_untrained

    def prepare() -> None:
        import sdt_lava

        model = save_untrained(folder / "model.pt")
        sdt_lava.export(sdt_lava.load_model(model), folder / "net.h5")
        make_inputs(model, folder / "net.h5", folder)

    # Imported once, so that no child has to; run in a child, so that this process never starts a
    # thread before it forks.
    for module in _IMPORTS:
        import_module(module)
    reserve_buffers()
    made = run_child(prepare)
    if made.code != 0:
        raise RuntimeError(made.errors)
    from tests.cli.writers import inputs_in

    inputs = inputs_in(folder)
    (folder / "cases").mkdir()
    yield from command_cases(inputs, folder / "cases")
    yield from lava_cases(inputs)


def _count(
    rows: dict[str, dict[str, Any]], failures: list[str], kind: str, name: str, case: Any
) -> None:
    outcome, wrong = case()
    row = rows.setdefault(
        kind,
        {"kind": kind, "tried": 0, "failures": 0, "crashes": 0, "hangs": 0, "left_overs": 0,
         "longest_s": 0.0, "codes": {}},
    )  # fmt: skip
    row["tried"] += 1
    row["crashes"] += outcome.crashed
    row["hangs"] += outcome.code is None
    left = outcome.remains + [text for text in wrong if text.startswith(("left over", "changed"))]
    row["left_overs"] += len(left)
    row["longest_s"] = round(max(row["longest_s"], outcome.seconds), 2)
    code = str(outcome.code)
    row["codes"][code] = row["codes"].get(code, 0) + 1
    problems = [*wrong, *outcome.remains]
    if outcome.crashed and not problems:
        problems = [outcome.errors[-600:]]
    if problems:
        row["failures"] += 1
        failures.append(f"{kind}: {name}: {'; '.join(problems)}")
        print(failures[-1], file=sys.stderr, flush=True)


def _unmount(folder: Path) -> None:
    for place in (folder / "cases").glob("*"):
        if place.is_mount():
            subprocess.run(["umount", str(place)], check=False)


def show(rows: Sequence[dict[str, Any]], failures: Sequence[str]) -> None:
    """Print the table."""
    names = ("tried", "failures", "crashes", "hangs", "left_overs", "longest_s")
    print(f"{'kind':32s}" + "".join(f"{name:>11s}" for name in names) + "  exit codes")
    for row in rows:
        codes = ", ".join(f"{code}: {number}" for code, number in row["codes"].items())
        print(f"{row['kind']:32s}" + "".join(f"{row[name]:>11}" for name in names) + f"  {codes}")
    print(f"{sum(row['tried'] for row in rows)} tried, {len(failures)} not as they should be")


def save(rows: Sequence[dict[str, Any]], failures: Sequence[str], seconds: float) -> None:
    """Write the results."""
    from benchmarks.common import RESULTS, machine
    from sdt_lava.io.files import write_json

    content = {
        "machine": machine(), "command": "make faults", "seconds": round(seconds),
        "kinds": list(rows), "failures": list(failures),
    }  # fmt: skip
    write_json(RESULTS / "faults.json", content)


if __name__ == "__main__":
    main()
