"""``python -m tests.fuzz``: damaged files of every kind, loaded the way the commands load them.

    python -m tests.fuzz --count 10000 --json benchmarks/results/fuzz.json
    python -m tests.fuzz --seconds 60 --only network-structure --seed 7
    python -m tests.fuzz --replay network-structure:123

Case NUMBER of a kind is always the same. Exit code 1 if a case ended in anything but a typed error
or a legal load.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.driver import Tally, command_line, run_cases

KINDS = (
    "network-bytes",
    "network-structure",
    "network-growth",
    "nir-bytes",
    "nir-structure",
    "checkpoint-bytes",
    "checkpoint-pickle",
    "checkpoint-objects",
    "checkpoint-archive",
    "checkpoint-bombs",
    "data-bytes",
    "data-structure",
    "data-archive",
    "config",
    "target",
    "energy-model",
    "rates",
    "results",
)
# Networks are what is shared most, and have most to get wrong.
WEIGHTS = {"network-bytes": 3, "network-structure": 6, "nir-structure": 2, "results": 1}
_DEFAULT_WEIGHT = 1
# Cases of different seeds do not overlap in runs of up to so many.
_SEED_STRIDE = 1_000_000


def cases(kinds: tuple[str, ...], seed: int, count: int | None) -> Iterator[tuple[str, int]]:
    """Yield kinds by their weight, and the number of each case among those of its kind."""
    turn = [kind for kind in kinds for _ in range(WEIGHTS.get(kind, _DEFAULT_WEIGHT))]
    numbers = dict.fromkeys(kinds, seed * _SEED_STRIDE)
    for kind in itertools.islice(itertools.cycle(turn), count):
        yield kind, numbers[kind]
        numbers[kind] += 1


class Run:
    """Collects what came of the cases of all workers."""

    def __init__(self, kinds: tuple[str, ...]) -> None:
        self.tallies = {kind: Tally(kind) for kind in kinds}
        self.failed: list[dict[str, Any]] = []
        self.began = time.perf_counter()
        self._lock = threading.Lock()

    def add(self, outcome: dict[str, Any]) -> None:
        """Count a case; show it if it failed."""
        with self._lock:
            self.tallies[outcome["kind"]].add(outcome)
            if outcome["outcome"] not in ("refused", "loaded"):
                self.failed.append(outcome)
                name = f"{outcome['kind']}:{outcome['number']}"
                print(f"\n{outcome['outcome']} {name} {outcome['error']}\n{outcome['message']}")
            tried = sum(tally.tried for tally in self.tallies.values())
            if tried % 500 == 0:
                print(f"{tried} cases, {time.perf_counter() - self.began:.0f} s", file=sys.stderr)

    def total(self) -> Tally:
        """Return the sum over all kinds."""
        total = Tally("all")
        for tally in self.tallies.values():
            total = total.plus(tally)
        return total

    def rows(self) -> list[Tally]:
        """Return the tallies of all kinds that were tried, and their sum."""
        return [*(tally for tally in self.tallies.values() if tally.tried), self.total()]


def run_all(source: Iterator[tuple[str, int]], run: Run, *, jobs: int, seconds: float) -> None:
    """Run cases on several workers until there are no more, or the time is over."""
    lock, end = threading.Lock(), time.perf_counter() + seconds

    def shared() -> Iterator[tuple[str, int]]:
        while time.perf_counter() < end:
            with lock:
                case = next(source, None)
            if case is None:
                return
            yield case

    threads = [
        threading.Thread(target=run_cases, args=(shared(), run.add), daemon=True)
        for _ in range(jobs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def report(run: Run) -> None:
    """Print the figures."""
    header = f"{'kind':20s}{'tried':>8s}{'refused':>9s}{'loaded':>8s}{'crashes':>9s}{'hangs':>7s}"
    print(f"\n{header}{'longest [s]':>13s}{'memory [MiB]':>14s}")
    for row in run.rows():
        counts = f"{row.tried:8d}{row.refused:9d}{row.loaded:8d}{row.crashes:9d}{row.hangs:7d}"
        print(f"{row.kind:20s}{counts}{row.longest_s:13.2f}{row.largest_mib:14.0f}")
    errors = ", ".join(f"{name} {count}" for name, count in run.total().errors.most_common())
    print(f"refused with: {errors}\nslowest: {run.total().slowest}")


def write(run: Run, path: Path, command: str) -> None:
    """Write the figures with the machine they were measured on."""
    from benchmarks.common import machine
    from sdt_lava.io.files import write_json
    from tests.fuzz.case import ALLOWANCE
    from tests.fuzz.driver import CASE_LIMIT_S

    kinds = [{**vars(row), "errors": dict(row.errors.most_common())} for row in run.rows()]
    for row in kinds:
        row["longest_s"], row["largest_mib"] = round(row["longest_s"], 3), round(row["largest_mib"])
    content = {
        "command": command,
        "machine": machine(),
        "seconds": round(time.perf_counter() - run.began),
        "time_limit_s": CASE_LIMIT_S,
        "allowance": vars(ALLOWANCE),
        "kinds": kinds,
        "failed": [f"{case['kind']}:{case['number']}" for case in run.failed],
    }
    write_json(path, content)
    print(f"wrote {path}; next: python -m benchmarks.reliability")


def replay(case: str, keep: Path | None) -> int:
    """Run one case again and show it; `keep` gets a copy of its files."""
    kind, _, number = case.partition(":")
    if keep is not None:
        _make(kind, int(number), keep)
    run = Run((kind,))

    def show(outcome: dict[str, Any]) -> None:
        print(json.dumps(outcome, indent=1))
        run.add(outcome)

    run_cases(iter([(kind, int(number))]), show)
    return bool(run.failed)


def _make(kind: str, number: int, keep: Path) -> None:
    from tests.fuzz.case import Source
    from tests.fuzz.kinds import KINDS as MADE
    from tests.fuzz.worker import make_canaries

    shutil.rmtree(keep, ignore_errors=True)
    (keep / "case").mkdir(parents=True)
    make_canaries(keep)
    path = MADE[kind].make(Source(Random(f"{kind} {number}"), keep / "case", keep))
    print(f"made {path}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, help="cases in all; 10000 unless --seconds is given")
    parser.add_argument("--seconds", type=float, help="stop after this time")
    parser.add_argument("--seed", type=int, default=0, help="other cases")
    parser.add_argument("--only", choices=KINDS, action="append", help="kind; may be repeated")
    parser.add_argument("--jobs", type=int, default=1, help="worker processes")
    parser.add_argument("--replay", metavar="KIND:NUMBER", help="run one case again")
    parser.add_argument("--keep", type=Path, help="with --replay: folder for the case's files")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    if arguments.replay:
        return replay(arguments.replay, arguments.keep)
    kinds = tuple(arguments.only or KINDS)
    count = arguments.count
    if count is None and arguments.seconds is None:
        count = 10_000
    run = Run(kinds)
    source = cases(kinds, arguments.seed, count)
    run_all(source, run, jobs=arguments.jobs, seconds=arguments.seconds or 1e9)
    report(run)
    if arguments.json:
        write(run, arguments.json, command_line("tests.fuzz"))
    # Without a case, a worker did not start: its error is above.
    return bool(run.failed) or not run.total().tried


if __name__ == "__main__":
    sys.exit(main())
