"""What an evaluation on hundreds of workers would meet, from what one machine can measure.

    python -m benchmarks.scale

measures the bytes of a task and of its result, how many shards a second a scheduler hands out and
takes back, and how many the database stores; with the engine's rate of
``benchmarks/results/bench.json`` it writes ``benchmarks/results/scale.json`` and the tables of
``docs/scale.md``. Rates of more workers than this machine has are expected, not measured.
"""

from __future__ import annotations

import json
import os
import pickle
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import REPOSITORY, RESULTS, machine
from benchmarks.pages import filled, table
from sdt_lava.evaluate.run import EvaluationOptions
from sdt_lava.evaluate.sample import OPERATIONS, SampleResult
from sdt_lava.evaluate.store import ResultStore
from sdt_lava.io.files import write_json

OUTPUT = RESULTS / "scale.json"
PAGE = REPOSITORY / "docs" / "scale.md"
ENGINE_ROW = "engine 8-512 batch 8 / float32 torch model"
PRESET = "8-512"
IMAGES = 50_000
_SHARD = 16
_TASKS, _STORED = 2000, 300
_WORKERS = (1, 10, 100, 300)


def shard_results(first: int) -> list[SampleResult]:
    """Return results of the size that a large network's have."""
    operations = tuple(10**9 + index for index in range(len(OPERATIONS)))
    return [SampleResult(first + n, 7, 7, 0, operations) for n in range(_SHARD)]


def task(digests: tuple[str, str], data: str, options: Any, shard: Any) -> list[SampleResult]:
    """Do no work, but take and return what a shard does."""
    return shard_results(shard[0])


def scheduler_rate() -> float:
    """Return the shards a second that a scheduler, a client and a worker pass on."""
    from distributed import Client, LocalCluster, as_completed

    digests = ("0" * 64, "1" * 64)
    shards = [tuple(range(n * _SHARD, (n + 1) * _SHARD)) for n in range(_TASKS)]
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.submit(task, digests, "imagenet", EvaluationOptions(), shards[0]).result()
        started = time.perf_counter()
        futures = [
            client.submit(task, digests, "imagenet", EvaluationOptions(), shard, pure=False)
            for shard in shards
        ]
        for future in as_completed(futures):
            future.result()
        return _TASKS / (time.perf_counter() - started)


def store_rate(folder: Path) -> float:
    """Return the shards a second that the database makes durable."""
    with ResultStore(folder / "results.sqlite", {"network": "x"}, resume=False) as store:
        started = time.perf_counter()
        for index in range(_STORED):
            store.add(shard_results(index * _SHARD))
        return _STORED / (time.perf_counter() - started)


def measure() -> dict[str, Any]:
    """Return everything that the plan needs."""
    bench = json.loads((RESULTS / "bench.json").read_text())
    presets = json.loads((RESULTS / "presets.json").read_text())
    seconds = next(row["ours"] for row in bench["rows"] if row["name"] == ENGINE_ROW)
    shard = tuple(range(10**5, 10**5 + _SHARD))
    arguments = (("0" * 64, "1" * 64), "imagenet", EvaluationOptions(), shard)
    with tempfile.TemporaryDirectory(dir=os.environ.get("SCALE_DIR", REPOSITORY)) as folder:
        stored = store_rate(Path(folder))
    return {
        "machine": machine(),
        "preset": PRESET,
        "network_mb": _network_mb(presets),
        "images_per_second": 1 / seconds,
        "cores_per_worker": os.cpu_count(),
        "task_bytes": len(pickle.dumps(arguments)),
        "result_bytes_per_sample": len(pickle.dumps(shard_results(10**5))) / _SHARD,
        "shard_size": _SHARD,
        "scheduler_shards_per_second": scheduler_rate(),
        "stored_shards_per_second": stored,
    }


def _network_mb(content: Any) -> float:
    if isinstance(content, dict):
        if "file_mb" in content and PRESET in map(str, content.values()):
            return float(content["file_mb"])
        content = list(content.values())
    if isinstance(content, list):
        return max((_network_mb(part) for part in content), default=0.0)
    return 0.0


def plan(found: dict[str, Any]) -> str:
    """Return the tables of the page."""
    limit = min(found["scheduler_shards_per_second"], found["stored_shards_per_second"])
    most = limit * found["shard_size"]
    rows = []
    for workers in _WORKERS:
        rate = min(workers * found["images_per_second"], most)
        shards = rate / found["shard_size"]
        traffic = shards * found["task_bytes"] + rate * found["result_bytes_per_sample"]
        rows.append(
            (
                f"{workers:,}",
                f"{rate:,.0f}",
                _duration(IMAGES / rate),
                f"{shards:,.1f}",
                f"{shards / limit:.0%}",
                f"{traffic / 1e3:,.0f}",
                f"{workers * found['network_mb'] / 1e3:,.2f}",
            )
        )
    header = ["workers", "images/s", f"{IMAGES:,} images", "shards/s", "of the limit", "kB/s"]
    header.append("network, once [GB]")
    return f"{table(header, rows)}\n{_sources(found)}\n"


def _sources(found: dict[str, Any]) -> str:
    """Return what the numbers of the table come from."""
    return (
        f"Expected values for `{found['preset']}` at 224x224, with workers of "
        f"{found['cores_per_worker']} cores like this one ({found['machine']['cpu']}): "
        f"{found['images_per_second']:.1f} images/s each, as measured by `make bench`. A shard of "
        f"{found['shard_size']} samples takes {found['task_bytes']:,} bytes to the worker and "
        f"{found['result_bytes_per_sample']:.0f} bytes per sample back. One scheduler, client and "
        f"worker on this machine's cores handled {found['scheduler_shards_per_second']:,.0f} "
        f"shards/s, and the database stored {found['stored_shards_per_second']:,.0f} shards/s "
        "durably; the smaller rate is the limit. `python -m benchmarks.scale`, "
        f"{found['machine']['date']}."
    )


def _duration(seconds: float) -> str:
    return f"{seconds / 60:,.1f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def main() -> None:
    found = measure()
    write_json(OUTPUT, found)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(filled(page, "scale.json", plan(found)), encoding="utf-8")
    print(plan(found))


if __name__ == "__main__":
    main()
