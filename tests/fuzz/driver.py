"""Feeds cases to worker processes and outlives whatever happens to them."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
WORKER = (sys.executable, "-m", "tests.fuzz.worker")
START_LIMIT_S = 180.0
# Far above any case on an idle machine: what takes longer hangs.
CASE_LIMIT_S = 30.0
# Cases after which a worker is replaced, so that what leaks from one does not end another.
CASES_A_WORKER = 2000


@dataclass
class Tally:
    """What came of the cases of one kind."""

    kind: str
    tried: int = 0
    refused: int = 0
    loaded: int = 0
    crashes: int = 0
    hangs: int = 0
    longest_s: float = 0.0
    largest_mib: float = 0.0
    slowest: str = ""
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: dict[str, Any]) -> None:
        """Count a case."""
        self.tried += 1
        counter = {"refused": "refused", "loaded": "loaded", "hung": "hangs"}
        name = counter.get(outcome["outcome"], "crashes")
        setattr(self, name, getattr(self, name) + 1)
        if outcome.get("seconds", 0.0) > self.longest_s:
            self.longest_s = outcome["seconds"]
            self.slowest = f"{outcome['kind']}:{outcome['number']}"
        self.largest_mib = max(self.largest_mib, outcome.get("mib", 0.0))
        if outcome["error"]:
            self.errors[outcome["error"]] += 1

    def plus(self, other: Tally) -> Tally:
        """Return the sum of two tallies."""
        return Tally(
            self.kind,
            self.tried + other.tried,
            self.refused + other.refused,
            self.loaded + other.loaded,
            self.crashes + other.crashes,
            self.hangs + other.hangs,
            max(self.longest_s, other.longest_s),
            max(self.largest_mib, other.largest_mib),
            self.slowest if self.longest_s >= other.longest_s else other.slowest,
            self.errors + other.errors,
        )


@dataclass(frozen=True)
class Kind:
    """A kind of worker.

    Parameters
    ----------
    command : tuple of str
        Starts one.
    case_limit_s : float
        Time that a case may take.
    """

    command: tuple[str, ...]
    case_limit_s: float


def fuzzer() -> Kind:
    """Return the workers that load files."""
    return Kind(WORKER, CASE_LIMIT_S)


class Process:
    """A worker process and the case that it is at.

    Parameters
    ----------
    kind : Kind
        What it is.
    """

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        path = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
        self.process = subprocess.Popen(
            kind.command,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None,
            text=True,
            start_new_session=True,
        )
        self.cases = 0
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)
        if self._answer(START_LIMIT_S) is None:
            self.close()
            raise RuntimeError(f"a worker did not start: {' '.join(kind.command)}")

    @property
    def _stdout(self) -> Any:
        assert self.process.stdout is not None
        return self.process.stdout

    def run(self, kind: str, number: int) -> dict[str, Any]:
        """Return what came of a case, also if nothing came back."""
        assert self.process.stdin is not None
        case = {"kind": kind, "number": number, "error": "", "message": ""}
        started = time.perf_counter()
        self.cases += 1
        try:
            self.process.stdin.write(f"{kind} {number}\n")
            self.process.stdin.flush()
            answer = self._answer(self.kind.case_limit_s)
        except OSError:
            answer = None
        if answer is not None:
            return answer
        seconds = time.perf_counter() - started
        if seconds >= self.kind.case_limit_s:
            return {**case, "outcome": "hung", "error": "hang", "seconds": seconds}
        code = self.process.wait(timeout=10)
        found = signal.Signals(-code).name if code < 0 else f"exit {code}"
        return {**case, "outcome": "died", "error": found, "seconds": seconds}

    def _answer(self, limit: float) -> dict[str, Any] | None:
        """Return a line of the worker, or None if it ended or the time is over."""
        if not self._selector.select(limit):
            return None
        line = self._stdout.readline()
        return json.loads(line) if line else None

    def close(self) -> None:
        """End the process and whatever it started."""
        self._selector.close()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


def run_cases(
    cases: Iterator[tuple[str, int]],
    on_case: Callable[[dict[str, Any]], None],
    worker: Kind | None = None,
) -> None:
    """Run cases one after the other; a worker that died, hung or is old is replaced.

    Parameters
    ----------
    cases : iterator of tuple
        Kind and number of each.
    on_case : callable
        Called with what came of each.
    worker : Kind, optional
        Workers that run them; by default the fuzzer's.
    """
    process: Process | None = None
    try:
        for kind, number in cases:
            if process is None:
                process = Process(worker or fuzzer())
            outcome = process.run(kind, number)
            on_case(outcome)
            if outcome["outcome"] in ("hung", "died") or process.cases >= CASES_A_WORKER:
                process.close()
                process = None
    finally:
        if process is not None:
            process.close()


def command_line(module: str) -> str:
    """Return how a program was started, but for where its figures go."""
    shown, arguments = [], iter(sys.argv[1:])
    for argument in arguments:
        if argument == "--json":
            next(arguments, None)
        elif not argument.startswith("--json="):
            shown.append(argument)
    return f"`{' '.join(['python -m', module, *shown])}`"
