"""A simulation that fails or is interrupted: one message, an exit code, and nothing left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.left_behind import becomes, processes_where, unused_shared_memory

# What Lava starts, and waits for.
pytestmark = pytest.mark.lava

ROOT = Path(__file__).resolve().parents[2]
WAIT = 60.0  # [s] generous: the machine may be busy
SESSION = 3  # field of /proc/<pid>/stat


class Simulation:
    """The command in a session of its own, so that all its processes can be found."""

    def __init__(self, network, *arguments, samples=360):
        self.process = subprocess.Popen(
            [sys.executable, "simulate/run_loihi_sim.py", str(network), "--data", "digits",
             "--samples", str(samples), *map(str, arguments)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip

    def members(self):
        return processes_where(SESSION, self.process.pid)

    def lava_processes(self, count=30):
        """Wait until the network is forked and return its processes."""
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            found = self.members() - {self.process.pid}
            if len(found) >= count:
                return found
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.05)
        raise AssertionError(f"only {len(found)} processes")

    def end(self):
        out, err = self.process.communicate(timeout=WAIT)
        deadline = time.monotonic() + 5
        while self.members() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not self.members()
        assert "Traceback" not in err
        return self.process.returncode, out, err

    def kill(self):
        for pid in self.members():
            os.kill(pid, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def simulate(network):
    started = []
    before = unused_shared_memory()

    def start(*arguments, **options):
        started.append(Simulation(network, *arguments, **options))
        return started[-1]

    yield start
    for simulation in started:
        simulation.kill()
    assert becomes(lambda: unused_shared_memory() <= before)


@pytest.mark.slow
def test_time_out(simulate):
    code, _, err = simulate("--timeout", 0.2).end()
    assert code == 1
    assert "0.2 s" in err


@pytest.mark.slow
@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupt(simulate, number, expected):
    simulation = simulate()
    simulation.lava_processes()
    if number == signal.SIGINT:
        os.killpg(simulation.process.pid, number)  # as a terminal does
    else:
        simulation.process.terminate()
    code, out, err = simulation.end()
    assert code == expected
    assert "accuracy" not in out
    assert len(err.strip().splitlines()) <= 2


@pytest.mark.slow
def test_killed_lava_process(simulate):
    simulation = simulate()
    victims = simulation.lava_processes()
    time.sleep(0.5)
    os.kill(max(victims), signal.SIGKILL)
    code, _, err = simulation.end()
    assert code == 1
    assert "error:" in err and "SIGKILL" in err


@pytest.mark.slow
def test_two_runs_at_once(simulate):
    runs = [simulate(samples=3) for _ in range(2)]
    results = [run.end() for run in runs]
    assert [code for code, _, _ in results] == [0, 0]
    counts = [[line for line in out.splitlines() if "total" in line] for _, out, _ in results]
    assert counts[0] == counts[1] != []
