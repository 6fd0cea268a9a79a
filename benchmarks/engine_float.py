"""The engine beside the float32 PyTorch model of the same network, and beside itself at low rates.

Both get the same normalised images, and return logits; the engine's time includes the encoding.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.classifier import classifier
from benchmarks.common import Row, interleaved, ratio_row, run_python
from benchmarks.float_peer import FloatPeer
from benchmarks.networks import BenchmarkNetwork, benchmark_network, with_scaled_rates
from sdt_lava.engine import Engine, EngineOptions
from sdt_lava.io.netx import save_network
from sdt_lava.ir.encoding import encode

TIME_LIMIT = 280.0
_LOW_RATE = 0.1
_LOW_RATE_TARGET = 2.0
_LOW_RATE_BATCH = 4
_MEMORY_TARGET = 2.0
_MEMORY_BATCH = 8
# Logits of the two float forms differ by rounding at most.
_ROUNDING = 1e-3
# Layers whose rates are logged: patch splitting and the first block.
_LISTED = 11

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Case:
    """A network, its targets by batch size, and the seconds to measure each."""

    preset: str
    targets: dict[int, float]
    seconds: float
    measures_memory: bool


CASES = (
    Case("cifar-2-512", {1: 3.0, 8: 3.0}, seconds=6, measures_memory=False),
    Case("8-384", {1: 6.0, 8: 8.0}, seconds=12, measures_memory=True),
    Case("8-512", {1: 6.0, 8: 8.0}, seconds=16, measures_memory=True),
)


def rows() -> Iterator[Row]:
    """Time an image and peak memory of each network."""
    torch.set_num_threads(min(2, len(os.sched_getaffinity(0))))
    for case in CASES:
        network = benchmark_network(case.preset)
        _check(network)
        for batch, target in case.targets.items():
            yield _times(case, network, batch, target)
        yield _low_rates(case, network)
        if case.measures_memory:
            yield _memory(network)


def _check(network: BenchmarkNetwork) -> None:
    """Compare every spike of an image with plain integer tensors, and both forms of the model."""
    images = network.images(1)
    frames, names = encode(network.net, images), network.net.lif_names
    plain = Engine(network.net, options=EngineOptions(kernels="interpreter")).run(frames, names)
    for keep in (names, (*names, network.net.output_name)):
        found = Engine(network.net, tracked=False).run(frames, keep)
        for name in names:
            if not np.array_equal(plain[name], found[name]):
                raise AssertionError(f"{network.name}: other spikes in {name}")
    rates = ", ".join(f"{name} {plain[name].mean():.3f}" for name in names[:_LISTED])
    logger.info("  %s: equal spikes in %d layers; rates %s", network.name, len(names), rates)
    tensor = torch.from_numpy(images)
    with torch.no_grad():
        difference = float((network.model(tensor) - FloatPeer(network.model)(tensor)).abs().max())
    if difference > _ROUNDING:
        raise AssertionError(f"{network.name}: logits of the float models differ by {difference}")


def _times(case: Case, network: BenchmarkNetwork, batch: int, target: float) -> Row:
    images = network.images(batch)
    tensor, peer = torch.from_numpy(images), FloatPeer(network.model)
    functions = {"engine": classifier(network.net, images), "float": lambda: peer(tensor)}
    times = interleaved(functions, seconds=case.seconds, rounds=(3, 40))
    title = f"engine {case.preset} batch {batch} / float32 torch model"
    return ratio_row(title, target, times["engine"], times["float"], "s/image", per=batch)


def _low_rates(case: Case, network: BenchmarkNetwork) -> Row:
    images = network.images(_LOW_RATE_BATCH)
    low = with_scaled_rates(network.net, images[:1], _LOW_RATE)
    frames = encode(network.net, images[:1])
    means = [
        np.mean([s.mean() for s in Engine(net, tracked=False).run(frames, net.lif_names).values()])
        for net in (network.net, low)
    ]
    logger.info("  %s: mean rate of the layers %.4f, lowered to %.4f", case.preset, *means)
    functions = {
        "low": classifier(low, images),
        "full": classifier(network.net, images),
    }
    times = interleaved(functions, seconds=case.seconds / 4, rounds=(5, 40))
    title = f"engine {case.preset} at a tenth of the rates / at full rates"
    lists = times["low"], times["full"]
    return ratio_row(title, _LOW_RATE_TARGET, *lists, "s/image", per=_LOW_RATE_BATCH)


def _memory(network: BenchmarkNetwork) -> Row:
    """Peak memory of whole processes that do nothing but run one batch."""
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images.npy"
        np.save(images, network.images(_MEMORY_BATCH))
        files = {"engine": Path(folder) / "net.h5", "float": Path(folder) / "model.pickle"}
        save_network(network.net, files["engine"])
        torch.save(network.model, files["float"])
        found = {
            kind: float(
                run_python(
                    ["-m", "benchmarks.peak_memory", kind, str(path), str(images)], timeout=100
                )
            )
            for kind, path in files.items()
        }
    title = f"engine {network.name} peak memory at batch {_MEMORY_BATCH} / float32 torch model"
    return ratio_row(title, _MEMORY_TARGET, [found["engine"]], [found["float"]], "MB")
