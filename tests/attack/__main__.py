"""``python -m tests.attack``: random networks in every way to run them, against the reference.

    python -m tests.attack --count 10000 --jobs 2 --json benchmarks/results/attack.json
    python -m tests.attack --seconds 60 --seed 7
    python -m tests.attack --replay 123

Case NUMBER is always the same network, input and ways. All arrays of kernels lie between pages that
nobody may touch. Exit code 1 if a way gave other values than the reference, another error, or ended
its process.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.driver import Kind, command_line, run_cases

FAMILIES = ("web", "transformer", "chain", "cuba", "sigma-delta")
EXECUTORS = ("kernels", "simulate", "lowered", "lava", "machine")
CASE_LIMIT_S = 60.0
# Cases of different seeds do not overlap in runs of up to so many.
_SEED_STRIDE = 10_000_000


# What runs the cases.
WORKERS = Kind((sys.executable, "-X", "faulthandler", "-m", "tests.attack.worker"), CASE_LIMIT_S)


@dataclass
class Tally:
    """What came of the networks of one family."""

    family: str
    networks: int = 0
    findings: int = 0
    died: int = 0
    hung: int = 0
    longest_s: float = 0.0
    ways: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(self, case: dict[str, Any]) -> None:
        """Count a case."""
        self.networks += 1
        ended = {"died": "died", "hung": "hung"}.get(case["outcome"], "findings")
        if case["outcome"] != "equal":
            setattr(self, ended, getattr(self, ended) + 1)
        self.longest_s = max(self.longest_s, case.get("seconds", 0.0))
        for executor, counts in case.get("ways", {}).items():
            self.ways[executor] += sum(counts.values())
            self.outcomes.update(counts)


class Run:
    """Collects what came of the cases of all workers."""

    def __init__(self) -> None:
        self.tallies = {family: Tally(family) for family in (*FAMILIES, "unknown", "all")}
        self.failed: list[dict[str, Any]] = []
        self.began = time.perf_counter()
        self._lock = threading.Lock()

    @property
    def total(self) -> Tally:
        """All families together."""
        return self.tallies["all"]

    def add(self, case: dict[str, Any]) -> None:
        """Count a case; show it if something is wrong with it."""
        with self._lock:
            self.tallies[case.get("family") or "unknown"].add(case)
            self.total.add(case)
            if case["outcome"] != "equal":
                self.failed.append(case)
                print(f"\n{case['number']}: {case['outcome']}: {case['error']}\n{case['message']}")
            if self.total.networks % 500 == 0:
                seconds = time.perf_counter() - self.began
                print(f"{self.total.networks} networks, {seconds:.0f} s", file=sys.stderr)

    def rows(self) -> list[Tally]:
        """Return the tallies of what was tried."""
        return [tally for tally in self.tallies.values() if tally.networks]


def run_all(numbers: Iterator[int], run: Run, kind: Kind, *, jobs: int, seconds: float) -> None:
    """Run cases on several workers until there are no more, or the time is over."""
    lock, end = threading.Lock(), time.perf_counter() + seconds

    def shared() -> Iterator[tuple[str, int]]:
        while time.perf_counter() < end:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            yield "case", number

    threads = [
        threading.Thread(target=run_cases, args=(shared(), run.add, kind), daemon=True)
        for _ in range(jobs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def report(run: Run) -> None:
    """Print the figures."""
    executors = "".join(f"{executor:>10s}" for executor in EXECUTORS)
    print(f"\n{'family':14s}{'networks':>10s}{executors}{'findings':>10s}{'died':>6s}{'hung':>6s}")
    for row in run.rows():
        counts = "".join(f"{row.ways[executor]:10d}" for executor in EXECUTORS)
        print(
            f"{row.family:14s}{row.networks:10d}{counts}{row.findings:10d}{row.died:6d}{row.hung:6d}"
        )
    print(", ".join(f"{name} {count}" for name, count in run.total.outcomes.most_common()))


def write(run: Run, path: Path, command: str) -> None:
    """Write the figures with the machine they were measured on."""
    from benchmarks.common import machine
    from sdt_lava.io.files import write_json

    content = {
        "command": command,
        "machine": machine(),
        "seconds": round(time.perf_counter() - run.began),
        "families": [
            {**vars(row), "longest_s": round(row.longest_s, 3), "ways": dict(row.ways)}
            for row in run.rows()
        ],
        "failed": [case["number"] for case in run.failed],
    }
    write_json(path, content)
    print(f"wrote {path}; next: python -m benchmarks.reliability")


def replay(number: int) -> int:
    """Run one case again and show it, with the ways it takes."""
    from tests.attack.networks import make_case
    from tests.attack.ways import draw_ways

    case = make_case(number)
    print(f"{case.family}, {case.fill} input {case.frames.shape}\n{case.graph}")
    for way in draw_ways(case):
        print(way)
    run = Run()

    def show(outcome: dict[str, Any]) -> None:
        print(json.dumps(outcome, indent=1))
        run.add(outcome)

    run_cases(iter([("case", number)]), show, WORKERS)
    return bool(run.failed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, help="networks; 10000 unless --seconds is given")
    parser.add_argument("--seconds", type=float, help="stop after this time")
    parser.add_argument("--seed", type=int, default=0, help="other networks")
    parser.add_argument("--jobs", type=int, default=1, help="worker processes")
    parser.add_argument("--replay", type=int, metavar="NUMBER", help="run one case again")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    if arguments.replay is not None:
        return replay(arguments.replay)
    count = arguments.count
    if count is None and arguments.seconds is None:
        count = 10_000
    run = Run()
    numbers = itertools.islice(itertools.count(arguments.seed * _SEED_STRIDE), count)
    run_all(numbers, run, WORKERS, jobs=arguments.jobs, seconds=arguments.seconds or 1e9)
    report(run)
    if arguments.json:
        write(run, arguments.json, command_line("tests.attack"))
    # Without a case, a worker did not start: its error is above.
    return bool(run.failed) or not run.total.networks


if __name__ == "__main__":
    sys.exit(main())
