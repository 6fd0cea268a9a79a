"""How near the engine's layers are to what the processor can do.

    python -m benchmarks.roofline [PRESET]

writes ``benchmarks/results/roofline.json`` and the table in ``docs/performance.md``.

Peaks are measured with the engine's own kernels on data in the caches, and with a copy of memory.
The bound of a layer is the larger of its additions at the peak of additions and its bytes at the
peak of memory; one thread, one image.
"""

from __future__ import annotations

import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.common import REPOSITORY, RESULTS, machine
from benchmarks.networks import BenchmarkNetwork, benchmark_network
from benchmarks.pages import filled, table
from sdt_lava.cli.console import console, make_table, print_table
from sdt_lava.engine import Engine
from sdt_lava.engine.plan.buffers import Buffer, Run
from sdt_lava.engine.plan.memory import buffer_bytes
from sdt_lava.engine.plan.operation import Operation
from sdt_lava.engine.plan.synaptic import SynapticOperation
from sdt_lava.io.files import write_json
from sdt_lava.ir import Conv, Graph, Input, Lif, Readout
from sdt_lava.ir.encoding import encode
from sdt_lava.ir.fan_out import fan_out

OUTPUT = RESULTS / "roofline.json"
PERFORMANCE = REPOSITORY / "docs" / "performance.md"
_COLUMNS = ("kind", "ms", "gadd", "gmac", "megabytes", "bound_ms", "limited_by", "share_of_bound")
_ROUNDS = 7
_COPIED = 64 << 20


def main(preset: str = "8-384") -> None:
    """Measure, print and write."""
    torch.set_num_threads(1)
    peaks = {
        "copy_gb_per_s": 2 * _COPIED / 1e9 / _fastest(_copy()),
        "event_gadd_per_s": _event_peak(),
        "dense_int8_gmac_per_s": _dense_peak(),
    }
    network = benchmark_network(preset)
    layers = _layers(network, peaks)
    write_json(OUTPUT, {"machine": machine(), "preset": preset, "peaks": peaks, "layers": layers})
    _print(preset, peaks, layers)


def _fastest(function: Callable[[], object]) -> float:
    function()
    times = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return min(times)


def _copy() -> Callable[[], None]:
    source, target = np.ones(_COPIED, np.uint8), np.zeros(_COPIED, np.uint8)
    return lambda: np.copyto(target, source)


def _event_peak() -> float:
    """Return the event-driven kernel's additions where lists and neurons cost little [1e9/s]."""
    rng = np.random.default_rng(0)
    weight = 2 * rng.integers(-99, 99, (512, 512, 3, 3))
    graph = Graph.build(
        [
            Input(name="input", shape=(512, 14, 14), low=0, high=1),
            Conv(name="conv", inputs=("input",), weight=weight),
            Lif(name="lif", inputs=("conv",), threshold=9999),
        ],
        timesteps=4,
    )
    frames = (rng.random((4, 1, *graph.input_shape)) < 0.3).astype(np.int64)
    engine = Engine(graph, tracked=False, strict=False)
    (seconds,) = (
        seconds
        for operation, seconds in _profiled(engine, frames, ("lif",))
        if isinstance(operation, SynapticOperation)
    )
    return float(_additions(graph, "conv", frames)) / 1e9 / seconds


def _profiled(
    engine: Engine, frames: np.ndarray, keep: tuple[str, ...]
) -> list[tuple[Operation, float]]:
    """Return each operation with its shortest time."""
    rounds = [engine.profile(frames, keep) for _ in range(_ROUNDS)]
    return [
        (pairs[0][0], min(seconds for _, seconds in pairs)) for pairs in zip(*rounds, strict=True)
    ]


def _dense_peak() -> float:
    """Return the multiplications of oneDNN's 8-bit operator [1e9/s]."""
    rows, inputs, outputs = 784, 512, 2048
    events = torch.randint(0, 2, (rows, inputs), dtype=torch.uint8)
    weight = torch.randint(-127, 127, (outputs, inputs), dtype=torch.int8)
    packed = torch.ops.onednn.qlinear_prepack(weight, None)
    ones, zeros = torch.ones(outputs), torch.zeros(outputs, dtype=torch.int32)

    def multiply() -> None:
        torch.ops.onednn.qlinear_pointwise(
            events, 1.0, 0, packed, ones, zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )

    return rows * inputs * outputs / 1e9 / _fastest(multiply)


def _additions(graph: Graph, name: str, sent: np.ndarray) -> float:
    node = graph.nodes[name]
    if isinstance(node, Readout):
        return float(np.count_nonzero(sent)) * len(node.weight)
    reached = fan_out(node, graph.shapes[node.inputs[0]]).ravel()
    return float((sent != 0).reshape(-1, reached.size).sum(axis=0) @ reached)


def _layers(network: BenchmarkNetwork, peaks: dict[str, float]) -> list[dict[str, Any]]:
    net, frames = network.net, encode(network.net, network.images(1))
    engine = Engine(net, tracked=False)
    sent = engine.run(frames)
    run = Run(1, net.timesteps, 1, 1)
    kinds: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for operation, seconds in _profiled(engine, frames, (net.output_name,)):
        weighted = [name for name in operation.nodes if hasattr(net.nodes[name], "weight")]
        is_layer = isinstance(operation, SynapticOperation)
        row = kinds[_kind(operation)]
        row["ms"] += 1e3 * seconds
        row["megabytes"] += _bytes(operation, run) / 1e6
        if is_layer:
            row["gadd"] += (
                sum(_additions(net, n, sent[net.nodes[n].inputs[0]]) for n in weighted) / 1e9
            )
            row["gmac"] += operation.synapses.macs * net.timesteps / 1e9
    return [_bounded(kind, row, peaks) for kind, row in kinds.items()]


def _kind(operation: Operation) -> str:
    """Name layers alike in all blocks alike."""
    first = operation.nodes[0] if operation.nodes else operation.kind
    return re.sub(r"^block\.\d+\.", "", first)


def _bytes(operation: Operation, run: Run) -> int:
    """Return the bytes of all signals and weights, each read or written once."""
    buffers: list[Buffer] = [*(reading.buffer for reading in operation.reads), *operation.writes]
    weights = operation.synapses.mantissa.size if isinstance(operation, SynapticOperation) else 0
    return weights + sum(buffer_bytes(b, run) for b in buffers if b.kind != "tensor")


def _bounded(kind: str, row: dict[str, float], peaks: dict[str, float]) -> dict[str, Any]:
    adding = row["gadd"] / peaks["event_gadd_per_s"]
    moving = row["megabytes"] / 1e3 / peaks["copy_gb_per_s"]
    dense = row["gmac"] / peaks["dense_int8_gmac_per_s"]
    bound = 1e3 * max(min(adding, dense), moving)
    return {
        "kind": kind,
        **{name: round(row[name], 4) for name in ("ms", "gadd", "gmac", "megabytes")},
        "bound_ms": round(bound, 4),
        "limited_by": "memory" if moving > min(adding, dense) else "additions",
        "share_of_bound": round(bound / row["ms"], 3) if row["ms"] else 0.0,
    }


def _print(preset: str, peaks: dict[str, float], layers: list[dict[str, Any]]) -> None:
    """Print the layers, and write them into the page on performance."""
    shown = ", ".join(f"{name} {value:.1f}" for name, value in peaks.items())
    rows = [
        [f"{row[name]:.3f}" if isinstance(row[name], float) else row[name] for name in _COLUMNS]
        for row in sorted(layers, key=lambda layer: -layer["ms"])
    ]
    console.print(shown)
    printed = make_table(f"{preset}, one image, one thread", dict.fromkeys(_COLUMNS, "right"))
    for row in rows:
        printed.add_row(*row)
    print_table(printed)
    text = f"{preset}, one image, one thread; peaks: {shown}.\n\n{table(_COLUMNS, rows)}"
    page = filled(PERFORMANCE.read_text(encoding="utf-8"), OUTPUT.name, text)
    PERFORMANCE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
