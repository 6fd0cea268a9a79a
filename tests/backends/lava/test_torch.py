"""Calls that cannot hang: torch's threads do not survive a fork, and nothing of ours calls them.

The parent of Lava's processes has used torch with several threads, as `simulate` itself does when
it looks for overflows. A forked child that calls torch then waits for threads that are not there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
pytestmark = [pytest.mark.lava, pytest.mark.timeout(200), pytest.mark.slow]

WARM = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(2)
from tests.lava_faults.models import parallel_torch
parallel_torch()
"""

CONTROL = """
from sdt_lava.errors import LavaTimeoutError
from tests.lava_networks import Network
try:
    with Network(Path(sys.argv[1]), "torch").session(timeout=5) as session:
        session.run(3)
    print("ran")
except LavaTimeoutError:
    print("hung")
"""

OURS = """
import numpy as np
import sdt_lava
from tests.graphs import random_frames, random_sdt_graph
rng = np.random.default_rng(0)
graph = random_sdt_graph(rng, image=(2, 4, 4), channels=4)
x = np.swapaxes(random_frames(rng, graph, batch=2), 0, 1) / graph.input.scale
expected = sdt_lava.simulate(graph, x, "engine")
result = sdt_lava.simulate(graph, x, "lava", models=sys.argv[1], timeout=60)
assert all(np.array_equal(expected.spikes[n], result.spikes[n]) for n in graph.lif_names)
print("ran")
"""


def output_of(program: str, argument: str) -> str:
    threads = {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", WARM + program, argument],
        capture_output=True,
        text=True,
        timeout=180,
        env={**os.environ, **threads, "PYTHONPATH": path},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_danger_is_real_or_this_file_shows_nothing(tmp_path):
    """Torch with two threads in the parent: if its children work, the tests below are empty."""
    assert output_of(CONTROL, str(tmp_path)) == "hung"


def test_a_model_that_calls_torch_works_once_the_engine_is_there(tmp_path):
    """A forked child of a program with the engine computes on one thread."""
    assert output_of("import sdt_lava.support.torch_state" + CONTROL, str(tmp_path)) == "ran"


@pytest.mark.parametrize("models", ["lava", "accelerated", "fused"])
def test_no_model_of_ours_hangs_behind_a_parent_that_used_torch(models):
    assert output_of(OURS, models) == "ran"
