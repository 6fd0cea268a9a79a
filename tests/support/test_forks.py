"""Children that are forked during or after a run: each works, or raises at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sdt_lava.support import forks
from sdt_lava.support.forks import ForkSafeLock, NoForkInside

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(280)
@pytest.mark.parametrize("situation", ["after_runs", "during_runs", "locks", "pool"])
def test_children_work(situation):
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    threads = {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.fork_cases", situation],
        capture_output=True,
        text=True,
        timeout=260,
        cwd=ROOT,
        env={**os.environ, **threads, "PYTHONPATH": path},
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("done", 0), done.stdout + done.stderr


def in_child(work) -> int:
    """Return the exit code of a child; 0 if what it does is true."""
    pid = os.fork()
    if not pid:
        try:
            os._exit(0 if work() else 7)
        finally:
            os._exit(9)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_lock_is_free_in_a_child_and_held_in_the_parent():
    lock = ForkSafeLock()

    def free():
        with lock.held():
            return True

    with lock.held():
        assert in_child(free) == 0
        reached = []
        thread = threading.Thread(target=lambda: reached.append(free()))
        thread.start()
        thread.join(0.05)
        assert not reached
    thread.join()
    assert reached == [True] and free()


def test_a_fork_waits_for_others_but_not_for_ever(monkeypatch):
    monkeypatch.setattr(forks, "PATIENCE", 0.3)
    zone, inside, leave = NoForkInside(), threading.Event(), threading.Event()

    def stay():
        with zone.block():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=stay)
    thread.start()
    inside.wait()
    started = time.monotonic()
    assert in_child(lambda: not zone._inside) == 0
    assert time.monotonic() - started >= 0.3
    leave.set()
    thread.join()
    with zone.block():  # whoever forks in one does not wait for itself
        assert in_child(lambda: len(zone._inside) == 1) == 0
    assert not zone._inside
