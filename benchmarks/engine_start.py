"""From nothing to the first answer: processes that import, read a file, and run or refuse it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CalledProcessError

import sdt_lava
from benchmarks.common import Row, ratio_row, run_python
from sdt_lava.model import SpikeDrivenTransformer, preset

TIME_LIMIT = 120.0
_ROUNDS = 5
# Says when it has the logits: Linux has one monotonic clock for all processes.
_PROGRAM = """
import sys, time
import numpy as np
import sdt_lava
net = sdt_lava.load_network(sys.argv[1])
logits = sdt_lava.simulate(net, np.ones((1, *net.input_shape)), "engine").logits
print(time.monotonic())
"""


@dataclass(frozen=True)
class _Start:
    """A network whose first logits are waited for, and how long that may take [s]."""

    preset: str
    limit: float


_STARTS = (_Start("digits", 1.0), _Start("cifar-2-512", 3.0))
_REFUSAL_LIMIT = 0.5


def rows() -> Iterator[Row]:
    """Start-up of the engine, once its kernels have been compiled on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        for start in _STARTS:
            path = Path(folder) / f"{start.preset}.h5"
            sdt_lava.export(SpikeDrivenTransformer(preset(start.preset)).eval(), path)
            title = f"engine {start.preset}: start of a process to the first logits"
            yield _row(title, start.limit, [_first_logits(path) for _ in range(1 + _ROUNDS)])
        path = Path(folder) / "text.pt"
        path.write_text("no checkpoint")
        title = "sdt-export: refusing a file that is no checkpoint"
        yield _row(title, _REFUSAL_LIMIT, [_refusal(path) for _ in range(1 + _ROUNDS)])


def _row(title: str, limit: float, seconds: Sequence[float]) -> Row:
    # The first one fills the caches.
    return ratio_row(f"{title} / limit of {limit:g} s", 1.0, seconds[1:], [limit] * _ROUNDS, "s")


def _first_logits(path: Path) -> float:
    started = time.monotonic()
    return float(run_python(["-c", _PROGRAM, str(path)], timeout=TIME_LIMIT)) - started


def _refusal(path: Path) -> float:
    started = time.monotonic()
    try:
        run_python(["export/sdt_export.py", str(path), "--out", f"{path}.h5"], timeout=TIME_LIMIT)
    except CalledProcessError as error:
        if error.returncode != 2:
            raise
    else:
        raise AssertionError("it was not refused")
    return time.monotonic() - started
