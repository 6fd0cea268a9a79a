"""The engine beside the fastest form of the float model: folded, compiled, in another runtime.

Every form computes the same images; those in float32 have to give the logits of the plain model.
bfloat16 rounds sums, and with them spikes: its time counts, its logits are not compared. What is
not installed, or does not take the model, is named in the row's JSON.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from benchmarks.classifier import classifier
from benchmarks.common import Row, interleaved, ratio_row
from benchmarks.engine_float import CASES
from benchmarks.float_forms import FORMS, Run, make_form
from benchmarks.float_peer import FloatPeer
from benchmarks.networks import BenchmarkNetwork, benchmark_network

TIME_LIMIT = 420.0
_SECONDS = 4.0
# Logits of forms in float32 differ by rounding, as a share of the largest. Sums that lie at a
# threshold then fire in one form and not in the other, but not in most images.
_ROUNDING = 1e-3
# A form so many times slower than the fastest is not tried on larger batches of the network.
_HOPELESS = 2.0
_PLAIN = "torch float32"

logger = logging.getLogger(__name__)


def rows() -> Iterator[Row]:
    """Time an image of each network, as the engine and the fastest form compute it."""
    torch.set_num_threads(min(2, len(os.sched_getaffinity(0))))
    for case in CASES:
        network = benchmark_network(case.preset)
        tried = (_PLAIN, *FORMS)
        for batch in case.targets:
            row, tried = _fastest(network, batch, tried)
            yield row


def _fastest(
    network: BenchmarkNetwork, batch: int, tried: tuple[str, ...]
) -> tuple[Row, tuple[str, ...]]:
    """Return the row of a batch, and the forms that are worth another try."""
    images = network.images(batch)
    tensor = torch.from_numpy(images)
    found: dict[str, float | str] = dict.fromkeys((_PLAIN, *FORMS), "slower on smaller batches")
    runs: dict[str, Run] = {}
    for name in tried:
        run = _made(name, network, tensor)
        if isinstance(run, str):
            found[name] = run
        else:
            found[name], runs[name] = _seconds(run, tensor) / batch, run
        logger.info("  %s batch %d: %s: %s", network.name, batch, name, found[name])
    times = {name: seconds for name, seconds in found.items() if isinstance(seconds, float)}
    best = min(times, key=times.__getitem__)
    functions = {
        "engine": classifier(network.net, images), "peer": lambda: runs[best](tensor)
    }  # fmt: skip
    measured = interleaved(functions, seconds=_SECONDS, rounds=(3, 40))
    title = f"engine {network.name} batch {batch} / fastest float form"
    lists = measured["engine"], measured["peer"]
    row = ratio_row(title, None, *lists, "s/image", per=batch, peer_form=best, peers=found)
    limit = _HOPELESS * times[best]
    return row, tuple(name for name, seconds in times.items() if seconds <= limit)


def _made(name: str, network: BenchmarkNetwork, images: Tensor) -> Run | str:
    plain = FloatPeer(network.model)
    if name == _PLAIN:
        return plain
    run = make_form(name, network.model, images)
    if isinstance(run, str) or "bfloat16" in name:
        return run
    expected, logits = plain(images).numpy(), np.asarray(run(images))
    differences = np.abs(logits - expected).max(axis=1) / np.abs(expected).max()
    typical = float(np.median(differences))
    return run if typical <= _ROUNDING else f"other logits, by {typical:.2g} of the largest"


def _seconds(run: Run, images: Tensor) -> float:
    """Return the shorter time of two runs, after one that warms up."""
    run(images)
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        run(images)
        seconds.append(time.perf_counter() - started)
    return min(seconds)
