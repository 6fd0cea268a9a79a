"""A fixed part of the fuzzer's cases, and proof that it would notice what it looks for."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from random import Random

import h5py
import numpy as np
import pytest

from sdt_lava.errors import NetworkFileError
from tests.fuzz import __main__ as program
from tests.fuzz import driver
from tests.fuzz import worker as fuzz_worker
from tests.fuzz.case import Allowance, Kind, Source
from tests.fuzz.kinds import KINDS
from tests.fuzz.worker import Worker

# Cases that once ended in a traceback or hung, by kind and number.
FOUND = {
    "network-structure": (100, 129, 130, 1_000_081),
    "nir-bytes": (407,),
    "nir-structure": (141, 240, 561, 636, 663),
    "checkpoint-objects": (230,),
    "target": (24, 26),
    "results": (1, 10, 26, 27, 200, 376),
}
SEED = 11
COUNT = 100


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    made = Worker(Path(os.path.realpath(tmp_path_factory.mktemp("worker"))))
    # Of the files that nobody damaged, all have to load; the hook may see numba at work.
    wrong = [found for found in made.warm_up() if found["outcome"] != "loaded"]
    assert all(found["error"] == "Trespass" for found in wrong), wrong
    return made


def test_no_case_of_a_fixed_part_fails(worker):
    known = [(kind, number) for kind, numbers in FOUND.items() for number in numbers]
    cases = [*known, *program.cases(program.KINDS, SEED, COUNT)]
    run = program.Run(program.KINDS)
    for kind, number in cases:
        run.add(worker.run(KINDS[kind], number))
    total = run.total()
    assert total.tried == len(cases) and not run.failed
    assert total.refused > COUNT // 2 and total.loaded > COUNT // 20


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_cases_that_load_and_cases_that_are_refused(worker, kind):
    """A kind that never loads anything looks at the way in alone."""
    seen = set()
    for number in range(100):
        seen.add(worker.run(KINDS[kind], number)["outcome"])
        if seen == {"loaded", "refused"}:
            return
    pytest.fail(f"only {seen}")


def test_kinds_are_those_of_the_command_line():
    assert tuple(KINDS) == program.KINDS


def test_seeds_have_different_cases():
    first, second = (list(program.cases(program.KINDS, seed, 200)) for seed in (0, 1))
    assert not set(first) & set(second)
    assert len(set(first)) == 200 and {kind for kind, _ in first} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_case_is_the_same_every_time(kind, tmp_path):
    sizes = []
    for folder in ("a", "b"):
        case = tmp_path / folder / "case"
        case.mkdir(parents=True)
        path = KINDS[kind].make(Source(Random(f"{kind} 5"), case, tmp_path))
        sizes.append((path.relative_to(case), path.is_dir() or path.stat().st_size))
    assert sizes[0] == sizes[1]


def outcome(worker, load, make=lambda source: source.folder):
    return worker.run(Kind("test", make, load), 0)


def test_other_errors_and_poor_ones_count_as_failures(worker):
    def crash(path):
        raise KeyError("x")

    def poor(path):
        raise NetworkFileError("", "", "")

    assert outcome(worker, crash)["error"] == "KeyError"
    assert outcome(worker, poor)["outcome"] == "failed"
    assert outcome(worker, lambda path: None)["outcome"] == "loaded"


TRESPASSES = {
    "a file outside": lambda worker: Path("/etc/hostname").read_bytes(),
    "a file written": lambda worker: (worker.folder / "new").write_text("x"),
    "a program": lambda worker: os.system("true"),
    "code": lambda worker: exec("x = 1"),
}


@pytest.mark.parametrize("name", TRESPASSES)
def test_trespasses_are_noticed(worker, name):
    assert outcome(worker, lambda path: TRESPASSES[name](worker))["error"] == "Trespass"


def test_hdf5_following_a_link_is_noticed(worker):
    """Python raises no event for files that the C library opens."""

    def make(source):
        path = source.folder / "net.h5"
        with h5py.File(path, "w") as file:
            file["weight"] = h5py.ExternalLink(str(source.canary / "canary.h5"), "/weight")
        return path

    def follow(path):
        with h5py.File(path) as file:
            file["weight"][()]

    found = outcome(worker, follow, make)
    assert found["error"] == "Trespass" and "outside" in found["message"]


STUB = """
import json, os, signal, sys, time
print(json.dumps({"ready": []}), flush=True)
for line in sys.stdin:
    number = int(line.split()[1])
    if number == 1:
        time.sleep(60)
    if number == 2:
        os.kill(os.getpid(), signal.SIGSEGV)
    print(json.dumps({"kind": "rates", "outcome": "loaded", "error": ""}), flush=True)
"""


def test_workers_that_hang_or_die_are_replaced(monkeypatch):
    monkeypatch.setattr(driver, "WORKER", (sys.executable, "-c", STUB))
    monkeypatch.setattr(driver, "CASE_LIMIT_S", 3.0)
    found = []
    driver.run_cases(iter([("rates", number) for number in (0, 1, 2, 3)]), found.append)
    assert [case["outcome"] for case in found] == ["loaded", "hung", "died", "loaded"]
    assert found[2]["error"] == "SIGSEGV"
    tally = driver.Tally("rates")
    for case in found:
        tally.add(case)
    assert (tally.tried, tally.loaded, tally.crashes, tally.hangs) == (4, 2, 1, 1)


def test_cases_that_take_more_than_their_size_allows_are_failures(worker, monkeypatch):
    def slow(path):
        end = time.process_time() + 0.2
        while time.process_time() < end:
            pass

    tight = Allowance(seconds=0.1, seconds_per_mib=1.0, mib=1000.0, mib_per_mib=1.0)
    monkeypatch.setattr(fuzz_worker, "ALLOWANCE", tight)
    found = outcome(worker, slow)
    assert (found["outcome"], found["error"]) == ("failed", "Excess") and "0 bytes" in found[
        "message"
    ]
    small = Allowance(seconds=100.0, seconds_per_mib=1.0, mib=20.0, mib_per_mib=1.0)
    monkeypatch.setattr(fuzz_worker, "ALLOWANCE", small)
    assert outcome(worker, lambda path: np.ones(2**23).sum())["error"] == "Excess"
    assert outcome(worker, lambda path: None)["outcome"] == "loaded"


def test_the_allowance_grows_with_the_size():
    allowance = Allowance(seconds=1.0, seconds_per_mib=2.0, mib=10.0, mib_per_mib=5.0)
    assert allowance.excess(0, 0.9, 9.0) == ""
    assert "s for" in allowance.excess(0, 1.1, 9.0)
    assert "MiB for" in allowance.excess(0, 0.9, 11.0)
    assert allowance.excess(2**20, 2.9, 14.0) == ""
