"""``make resume``: evaluations that are killed, resumed and spread, and give the same files.

    python -m benchmarks.resume

The digits and a synthetic set of 10 000 samples are evaluated without interruption; by a command
that is killed (SIGKILL) at several moments and resumed; and by three local workers of which one is
killed. The files of all of them are compared. Results go to ``benchmarks/results/resume.json``.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import REPOSITORY, RESULTS, machine
from sdt_lava.io.files import write_json

SYNTHETIC = 10_000
KILLS = (0.15, 0.4, 0.6, 0.85)  # shares of the samples that are stored before each kill
_WORKERS = 3
_LIMIT = 1200.0  # [s] of one command
FILES = ("results.json", "predictions.csv")


def digest(folder: Path) -> str:
    """Return a digest of the files that an evaluation ends with."""
    content = b"".join((folder / name).read_bytes() for name in FILES)
    return hashlib.sha256(content).hexdigest()


def stored(folder: Path) -> int:
    """Return how many samples have a result."""
    path = folder / "results.sqlite"
    if not path.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5) as connection:
            return int(connection.execute("SELECT COUNT(*) FROM samples").fetchone()[0])
    except sqlite3.OperationalError:  # it was just made
        return 0


def start(network: Path, data: str, folder: Path, *more: str) -> subprocess.Popen[bytes]:
    """Start the command, resuming what is there."""
    resume = ["--resume"] if (folder / "results.sqlite").exists() else []
    program = "from sdt_lava.cli import main; main()"
    arguments = ["evaluate", str(network), "--data", data, "--out", str(folder), *resume, *more]
    inherited = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(REPOSITORY), *([inherited] if inherited else [])])
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end and check that it was a good one."""
    try:
        code = process.wait(_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    if code:
        raise RuntimeError(f"evaluate ended with exit code {code}")


def killed(network: Path, data: str, folder: Path, total: int) -> list[int]:
    """Evaluate with a kill at several moments; returns how much was stored at each."""
    moments = []
    for share in KILLS:
        process = start(network, data, folder)
        deadline = time.monotonic() + _LIMIT
        while process.poll() is None and stored(folder) < share * total:
            if time.monotonic() > deadline:
                process.kill()
                raise TimeoutError("evaluate does not go on")
            time.sleep(0.005)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
            moments.append(stored(folder))
    finish(start(network, data, folder))
    return moments


def on_workers(network: Path, data: str, folder: Path) -> int:
    """Evaluate on three local workers and kill one; returns how much was done by then."""
    from distributed import LocalCluster

    from sdt_lava.evaluate import EvaluationOptions, evaluate
    from sdt_lava.evaluate.cluster import ClusterOptions, cluster_executor

    done_at: list[int] = []
    with LocalCluster(n_workers=_WORKERS, threads_per_worker=1, dashboard_address=None) as cluster:

        def on_progress(done: int, total: int) -> None:
            if not done_at and done > total // 4:
                os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
                done_at.append(done)

        address = ClusterOptions(scheduler=cluster.scheduler_address)
        with cluster_executor(address) as executor:
            evaluate(
                network, data, folder, EvaluationOptions(), executor=executor,
                on_progress=on_progress,
            )  # fmt: skip
    return done_at[0]


def demonstrate(name: str, network: Path, data: str, folder: Path) -> dict[str, Any]:
    """Evaluate one data set in all three ways."""
    began = time.monotonic()
    finish(start(network, data, folder / "whole"))
    alone = time.monotonic() - began
    total, expected = stored(folder / "whole"), digest(folder / "whole")
    moments = killed(network, data, folder / "killed", total)
    done = on_workers(network, data, folder / "workers")
    row = {
        "data": name,
        "samples": total,
        "seconds": round(alone, 1),
        "stored_at_kills": moments,
        "resumed_is_same": digest(folder / "killed") == expected,
        "workers": _WORKERS,
        "done_when_a_worker_was_killed": done,
        "spread_is_same": digest(folder / "workers") == expected,
        "sha256": expected,
    }
    print(row, flush=True)
    return row


def main() -> None:
    import sdt_lava
    from tests.cli.writers import save_untrained

    with tempfile.TemporaryDirectory(prefix="sdt-lava-resume-") as name:
        folder = Path(name)
        network, data = folder / "net.h5", folder / "synthetic.npz"
        sdt_lava.export(sdt_lava.load_model(save_untrained(folder / "model.pt")), network)
        rng = np.random.default_rng(0)
        images = rng.integers(0, 17, (SYNTHETIC, 1, 8, 8)).astype(np.float32) / 16
        np.savez(data, x=images, y=rng.integers(0, 10, SYNTHETIC))
        sets = {"digits": "digits", "synthetic": str(data)}
        rows = [demonstrate(label, network, where, folder / label) for label, where in sets.items()]
    content = {"machine": machine(), "command": "make resume", "rows": rows}
    write_json(RESULTS / "resume.json", content)
    good = all(
        row["resumed_is_same"] and row["spread_is_same"] and row["stored_at_kills"] for row in rows
    )
    sys.exit(not good)


if __name__ == "__main__":
    main()
