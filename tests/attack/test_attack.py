"""A fixed part of the random networks, and proof that a finding would be noticed."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest

from sdt_lava.backends.lava.presence import has_lava
from sdt_lava.compiler.compile import CONVOLUTIONS
from sdt_lava.engine import KERNELS
from sdt_lava.ir import NODE_KINDS
from tests.attack import __main__ as program
from tests.attack import ways, worker
from tests.attack.networks import FAMILIES, FILLS, make_case
from tests.attack.ways import EXECUTORS, MODELS, Oracle, draw_ways

FIRST, COUNT = 1000, 200


@pytest.fixture(scope="module")
def fixed_part():
    """What came of the fixed part, run by one worker process."""
    run = program.Run()
    numbers = iter(range(FIRST, FIRST + COUNT))
    program.run_all(numbers, run, program.WORKERS, jobs=1, seconds=250)
    return run


def test_no_network_of_a_fixed_part_differs(fixed_part):
    assert not fixed_part.failed
    assert fixed_part.total.networks > COUNT // 4, "a worker that does not work"
    assert fixed_part.total.outcomes["equal"] > fixed_part.total.outcomes["overflow"] > 0


def test_every_family_and_executor_takes_part(fixed_part):
    without = set() if has_lava() else {"lava"}
    assert tuple(FAMILIES) == program.FAMILIES and program.EXECUTORS == EXECUTORS
    assert {row.family for row in fixed_part.rows()} >= set(FAMILIES)
    assert set(fixed_part.total.ways) == set(EXECUTORS) - without


def test_networks_hold_every_kind_of_node():
    cases = [make_case(number) for number in range(150)]
    seen = {node.kind for case in cases for node in case.graph}
    # Other tests may have added kinds of their own.
    own = [kind for kind in NODE_KINDS.values() if kind.__module__.startswith("sdt_lava.")]
    assert seen >= {kind.kind for kind in own if not kind.is_compiled_only}
    assert {case.fill for case in cases} == set(FILLS)
    assert {1, 2} <= {case.frames.shape[0] for case in cases}


def test_ways_hold_every_kernel_and_model():
    drawn = [way for number in range(300) for way in draw_ways(make_case(number))]
    assert {way.options.get("kernels") for way in drawn} >= set(KERNELS)
    assert not has_lava() or {way.options.get("models") for way in drawn} >= set(MODELS)
    assert {way.options.get("convolutions") for way in drawn} >= set(CONVOLUTIONS)
    assert {way.guard for way in drawn} == {"end", "start"}
    for name in ("strict", "reset", "count"):
        assert {way.options.get(name) for way in drawn} >= {False, True}, name


def test_a_case_is_the_same_every_time():
    for number in range(20):
        first, second = make_case(number), make_case(number)
        assert np.array_equal(first.frames, second.frames)
        assert first.graph.order == second.graph.order
        assert list(map(str, draw_ways(first))) == list(map(str, draw_ways(second)))


def _changed(outputs):
    changed = dict(outputs)
    name = next(iter(changed))
    changed[name] = changed[name].copy()
    changed[name].flat[-1] ^= 1
    return changed


def test_one_other_value_is_a_finding(monkeypatch):
    run_kernels = ways._EXECUTORS["kernels"]

    def broken(case, options):
        return _changed(run_kernels(case, options))

    monkeypatch.setitem(ways._EXECUTORS, "kernels", broken)
    found = [worker.run(number) for number in range(5)]
    assert any("differs in 1 of" in case["error"] for case in found)


def test_an_exception_is_a_finding(monkeypatch):
    def broken(case, options):
        raise KeyError("x")

    monkeypatch.setitem(ways._EXECUTORS, "simulate", broken)
    found = [worker.run(number) for number in range(5)]
    assert any(case["error"] == "KeyError" for case in found)


def test_a_missing_overflow_is_a_finding(monkeypatch):
    monkeypatch.setattr(Oracle, "refusal", lambda self, reset: "'x': an overflow")
    found = [worker.run(number) for number in range(5)]
    assert any("the reference says: 'x': an overflow" in case["error"] for case in found)


# A worker whose kernel of packed spikes reads one value too many.
OVERREAD = """
from tests.attack import worker
from sdt_lava.engine.plan import signals
fire = signals.fire_rows

def wide(sums, floats, rows, arguments):
    fire(sums, floats, (rows[0], rows[1] + 500), arguments)

signals.fire_rows = wide
for number in range(40):
    worker.run(number)
"""


def test_leaving_an_array_ends_the_process():
    ended = subprocess.run([sys.executable, "-c", OVERREAD], capture_output=True, timeout=250)
    assert ended.returncode == -signal.SIGSEGV
