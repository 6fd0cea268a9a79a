"""Signals, kills and neighbours, tried on LavaSessions in programs of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.faults.lava import PHASES, killed
from tests.lava_networks import nothing_left_behind
from tests.left_behind import WAIT, becomes, processes_where

pytestmark = [pytest.mark.lava, pytest.mark.timeout(120), pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _clean():
    with nothing_left_behind():
        yield


PROGRAM = """
import sys
from pathlib import Path
from tests.lava_networks import Network
network = Network(Path(sys.argv[1]), sys.argv[2], step=int(sys.argv[3]), steps=20000)
print("enter", flush=True)
with network.session(timeout=None) as session:
    print("run", flush=True)
    session.run(20000, on_progress=lambda step: step > 3 and print("running", flush=True))
"""


@contextlib.contextmanager
def program(folder: Path, kind="none", step=1):
    folder.mkdir(exist_ok=True)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), kind, str(step)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=WAIT)
        # Only now: Python's resource tracker, which frees shared memory, is in the group, too.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for(process: subprocess.Popen, word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == word:
            return
    pytest.fail(f"{word!r} never came: {process.communicate()}")


def assert_session_is_empty(process: subprocess.Popen) -> None:
    assert becomes(lambda: not processes_where(3, process.pid))


@pytest.mark.parametrize("word", ["enter", "running"])
@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (signal.SIGINT, -signal.SIGINT, "KeyboardInterrupt"),
        (signal.SIGTERM, 143, ""),
    ],
)
def test_signal_to_the_process_group(tmp_path, word, number, code, words):
    with program(tmp_path) as process:
        wait_for(process, word)
        time.sleep(0.3)  # "enter": compiling or forking
        os.killpg(process.pid, number)
        began = time.monotonic()
        _, stderr = process.communicate(timeout=WAIT)
        assert process.returncode == code
        assert time.monotonic() - began < WAIT / 2
        assert stderr.strip().endswith(words)
        assert stderr.count("Traceback") == (1 if words else 0)
        assert_session_is_empty(process)


def test_sigterm_to_the_parent_alone_while_a_child_hangs(tmp_path):
    with program(tmp_path, "hang", step=3) as process:
        wait_for(process, "run")
        time.sleep(0.5)
        process.terminate()
        _, stderr = process.communicate(timeout=WAIT)
        assert (process.returncode, stderr) == (143, "")
        assert_session_is_empty(process)


@pytest.mark.parametrize("kind", ["none", "hang"])
def test_no_child_outlives_a_killed_parent(tmp_path, kind):
    with program(tmp_path, kind, step=1000) as process:
        wait_for(process, "running")
        assert len(processes_where(3, process.pid)) > 5
        process.kill()
        process.wait()
        assert_session_is_empty(process)


def test_sessions_in_two_programs_do_not_disturb_one_another(tmp_path):
    good, bad = tmp_path / "good", tmp_path / "bad"
    with program(good) as one, program(bad, "raise", step=100) as other:
        wait_for(one, "running")
        _, stderr = other.communicate(timeout=WAIT)
        assert other.returncode == 1
        assert stderr.strip().endswith("'fault' (Fault): ValueError: a deliberate failure")
        assert_session_is_empty(other)
        wait_for(one, "running")
        assert one.poll() is None


@pytest.mark.parametrize("phase", PHASES)
def test_a_process_killed_at_each_phase(phase):
    killed(phase, index=2)
