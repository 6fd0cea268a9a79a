"""From nothing to the first logits: a process that imports, loads a network and runs an image."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import sdt_lava
from benchmarks.common import Row, ratio_row, run_python
from sdt_lava.model import SpikeDrivenTransformer, preset

TIME_LIMIT = 90.0
_PRESET, _LIMIT, _ROUNDS = "cifar-2-512", 3.0, 5
# Says when it has the logits: Linux has one monotonic clock for all processes.
_PROGRAM = """
import sys, time
import numpy as np
import sdt_lava
net = sdt_lava.load_network(sys.argv[1])
logits = sdt_lava.simulate(net, np.ones((1, *net.input_shape)), "engine").logits
print(time.monotonic())
"""


def rows() -> Iterator[Row]:
    """Start-up of the engine, once its kernels have been compiled on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.h5"
        sdt_lava.export(SpikeDrivenTransformer(preset(_PRESET)).eval(), path)
        seconds = [_start(path) for _ in range(1 + _ROUNDS)][1:]
    title = f"engine {_PRESET}: start of a process to the first logits / limit of {_LIMIT:g} s"
    yield ratio_row(title, 1.0, seconds, [_LIMIT] * _ROUNDS, "s")


def _start(path: Path) -> float:
    started = time.monotonic()
    return float(run_python(["-c", _PROGRAM, str(path)], timeout=TIME_LIMIT)) - started
