"""How the engine's time and memory grow with tokens, channels, depth, steps and batch.

    python -m benchmarks.cost_model

writes ``benchmarks/results/cost_model.json``, ``docs/images/cost_model.png`` and a table in
``docs/performance.md``. One number is
changed at a time, from a small CIFAR network with healthy firing rates. The exponent of each curve
is the slope of a line through logarithms: 1 is linear. SDSA's own operations (mask, token sum and
their neurons, without synapses) are timed apart: the paper says linear in tokens and in channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import matplotlib as mpl
import numpy as np
import torch

from benchmarks.classifier import classifier
from benchmarks.common import REPOSITORY, RESULTS, interleaved, machine
from benchmarks.networks import BenchmarkNetwork, benchmark_network
from benchmarks.pages import filled, table
from sdt_lava.cli.console import make_table, print_table
from sdt_lava.engine import Engine
from sdt_lava.io.files import write_json
from sdt_lava.ir.encoding import encode

OUTPUT = RESULTS / "cost_model.json"
PERFORMANCE = REPOSITORY / "docs" / "performance.md"
FIGURE = REPOSITORY / "docs" / "images" / "cost_model.png"
_BASE = {"dim": 256, "depth": 2, "timesteps": 4, "image_size": (32, 32)}
# Two poolings: four times fewer rows and columns.
_PATCH = 4
_SECONDS = 4.0
_ROUNDS = (5, 30)

_MEASURED = {"ms": "time [ms]", "sdsa_ms": "SDSA's masks [ms]", "megabytes": "memory [MB]"}

AXES: dict[str, tuple[int, ...]] = {
    "tokens": (64, 144, 256, 400, 576),
    "channels": (128, 256, 384, 512),
    "depth": (1, 2, 4, 8),
    "steps": (1, 2, 4, 8),
    "batch": (1, 2, 4, 8),
}
_CHANGE: dict[str, Callable[[int], dict[str, Any]]] = {
    "tokens": lambda n: {"image_size": (_PATCH * round(n**0.5),) * 2},
    "channels": lambda n: {"dim": n},
    "depth": lambda n: {"depth": n},
    "steps": lambda n: {"timesteps": n},
    "batch": lambda n: {},
}


def main() -> None:
    """Measure all axes, print exponents, write and draw."""
    torch.set_num_threads(1)
    curves = {axis: _measure(axis) for axis in AXES}
    write_json(OUTPUT, {"machine": machine(), "base": _BASE, "curves": curves})
    _draw(curves)
    _print(curves)


def _print(curves: dict[str, dict[str, Any]]) -> None:
    """Print the curves, and write them into the page on performance."""
    columns = ("axis", "values", *(f"{label}: slope" for label in _MEASURED.values()))
    rows = [
        [
            axis,
            _numbers(AXES[axis]),
            *(f"{_numbers(curve[what])}: {curve['exponents'][what]:.2f}" for what in _MEASURED),
        ]
        for axis, curve in curves.items()
    ]
    printed = make_table("Cost of a batch on one thread", dict.fromkeys(columns, "left"))
    for row in rows:
        printed.add_row(*row)
    print_table(printed)
    text = f"{table(columns, rows)}\n![cost against size](images/{FIGURE.name})\n"
    page = filled(PERFORMANCE.read_text(encoding="utf-8"), OUTPUT.name, text)
    PERFORMANCE.write_text(page, encoding="utf-8")


def _numbers(values: Iterable[float]) -> str:
    return " ".join(f"{value:.3g}" for value in values)


def _measure(axis: str) -> dict[str, Any]:
    networks, batches = [], []
    for value in AXES[axis]:
        networks.append(benchmark_network("cifar-2-256", **{**_BASE, **_CHANGE[axis](value)}))
        batches.append(value if axis == "batch" else 1)
    images = [network.images(batch) for network, batch in zip(networks, batches, strict=True)]
    functions = {
        str(value): classifier(network.net, x)
        for value, network, x in zip(AXES[axis], networks, images, strict=True)
    }
    times = interleaved(functions, seconds=_SECONDS, rounds=_ROUNDS)
    curve: dict[str, Any] = {
        "values": list(AXES[axis]),
        # The shortest: others were interrupted.
        "ms": [1e3 * min(times[str(value)]) for value in AXES[axis]],
        "sdsa_ms": [1e3 * _sdsa(n, x) for n, x in zip(networks, images, strict=True)],
        "megabytes": [_memory(n, x) for n, x in zip(networks, images, strict=True)],
    }
    curve["exponents"] = {
        what: float(np.polyfit(np.log(curve["values"]), np.log(curve[what]), 1)[0])
        for what in _MEASURED
    }
    return curve


def _sdsa(network: BenchmarkNetwork, images: np.ndarray) -> float:
    frames, engine = encode(network.net, images), Engine(network.net, tracked=False)
    rounds = []
    for _ in range(_ROUNDS[1]):
        times = engine.profile(frames, (network.net.output_name,))
        rounds.append(sum(s for operation, s in times if operation.kind in ("any token", "and")))
    return min(rounds)


def _memory(network: BenchmarkNetwork, images: np.ndarray) -> float:
    """Return megabytes of all signals of a batch that runs at once."""
    engine = Engine(network.net, tracked=False)
    frames = encode(network.net, images)
    return engine.bytes_needed(frames, (network.net.output_name,)) / 1e6


def _draw(curves: dict[str, dict[str, Any]]) -> None:
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(curves), figsize=(3 * len(curves), 3), sharey=True)
    for axis, (name, curve) in zip(axes, curves.items(), strict=True):
        for what, label in _MEASURED.items():
            slope = curve["exponents"][what]
            axis.loglog(curve["values"], curve[what], "o-", label=f"{label} (slope {slope:.2f})")
        axis.set_xlabel(name)
        axis.set_xticks(curve["values"], [str(value) for value in curve["values"]])
        axis.minorticks_off()
        axis.legend(fontsize=6)
    figure.tight_layout()
    figure.savefig(FIGURE, dpi=120)


if __name__ == "__main__":
    main()
