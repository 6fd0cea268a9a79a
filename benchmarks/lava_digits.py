"""The digits network in Lava: an operating system process for each Lava process, or one for all.

The peer is our own back end ``lava``: Lava's compiler, channels and ProcessModels. For start and
stop there is a second one, Lava's runtime as it comes.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from lava.magma.core.run_conditions import RunSteps

import sdt_lava
from benchmarks.common import Row, interleaved, ratio_row, run_python
from benchmarks.sessions import OpenNetwork
from sdt_lava.backends.lava.processes.run_config import run_config
from sdt_lava.backends.lava.run import build_processes, cut_samples
from sdt_lava.datasets import load_dataset
from sdt_lava.ir import Graph
from sdt_lava.ir.encoding import encode
from sdt_lava.model import SpikeDrivenTransformer, preset

TIME_LIMIT = 220.0
# An accuracy does not matter here, spikes do: enough epochs for firing rates of a trained network.
_EPOCHS = 3
_STEPS, _PEER_STEPS, _SECONDS = 200, 25, 12.0
_ROUNDS_OF_STARTS = 3
_DEPTH, _LARGEST_START = 8, 3.0
# What runs beside the peer: executor, models, target.
_WAYS = {
    "in one process, Lava's models": ("in-process", "lava", None),
    "in one process, accelerated models": ("in-process", "accelerated", 10.0),
    "in one process, fused model": ("in-process", "fused", 20.0),
    "fused model in a process of its own": ("processes", "fused", None),
}

logger = logging.getLogger(__name__)


def rows() -> Iterator[Row]:
    """Steps/s on the digits network, start and stop, and the start of a deep network."""
    with tempfile.TemporaryDirectory() as folder:
        net = _trained(Path(folder))
        yield from _speeds(net, Path(folder))
        yield from _starts(net, Path(folder))
    yield _deep_start()


def _trained(folder: Path) -> Graph:
    model, network = str(folder / "model.pt"), str(folder / "net.h5")
    arguments = ["--preset", "digits", "--epochs", str(_EPOCHS), "--out", model]
    run_python(["-m", "sdt_lava", "train", *arguments], timeout=TIME_LIMIT)
    run_python(["-m", "sdt_lava", "export", model, "--out", network], timeout=TIME_LIMIT)
    return sdt_lava.load_network(network)


def _speeds(net: Graph, folder: Path) -> Iterator[Row]:
    data = load_dataset("digits", "test")
    x = np.resize(data.x, (-(-_STEPS * 60 // net.timesteps), *data.x.shape[1:]))
    frames = encode(net, x)
    expected = sdt_lava.simulate(net, x[:8])
    logger.info("  mean firing rate %.3f", np.mean([s.mean() for s in expected.spikes.values()]))
    with ExitStack() as stack:
        networks = {}
        for name, (executor, models, _) in {"peer": ("processes", "lava", None), **_WAYS}.items():
            compiled = sdt_lava.compile(net, convolutions="auto" if models == "lava" else "conv")
            network = OpenNetwork(
                compiled, frames, folder / name.replace(" ", "-"), models, executor
            )
            networks[name] = stack.enter_context(network)
        steps = dict.fromkeys(networks, _STEPS) | {"peer": _PEER_STEPS}
        steps["in one process, Lava's models"] = steps["fused model in a process of its own"] = 50
        for network in networks.values():
            network.run(compiled.schedule.machine_steps(8))
            for lif in net.lif_names:
                spikes = cut_samples(compiled, lif, network.recorded(lif), 8)
                if not np.array_equal(spikes, expected.spikes[lif]):
                    raise AssertionError(f"other spikes of {lif}")
        functions = {name: lambda n=name: networks[n].run(steps[n]) for name in networks}
        times = interleaved(functions, seconds=_SECONDS, rounds=(3, 50))
    speeds = {name: [steps[name] / t for t in values] for name, values in times.items()}
    for name, (_, _, target) in _WAYS.items():
        title = f"digits: {name} / {compiled.num_processes + 2} processes"
        yield ratio_row(title, target, speeds[name], speeds["peer"], "steps/s", more_is_better=True)


def _starts(net: Graph, folder: Path) -> Iterator[Row]:
    """Time compilation, start, the first step and the end."""
    frames = encode(net, load_dataset("digits", "test", 1).x)
    compiled = sdt_lava.compile(net)

    def session(executor: str, models: str) -> None:
        with OpenNetwork(compiled, frames, folder, models, executor) as network:
            network.run(1)

    def stock() -> None:
        lava = build_processes(compiled, frames, folder)
        lava.source.run(RunSteps(num_steps=1), run_config())
        lava.source.stop()

    times = interleaved(
        {
            "lava": lambda: session("processes", "lava"),
            "in-process": lambda: session("in-process", "accelerated"),
            "stock": stock,
        },
        seconds=0,
        rounds=(_ROUNDS_OF_STARTS, _ROUNDS_OF_STARTS),
        warm_up=0,
    )
    title = "digits: start and stop"
    yield ratio_row(
        f"{title}, in one process / back end lava", None, times["in-process"], times["lava"], "s"
    )
    yield ratio_row(
        f"{title}, back end lava / Lava's own run()", None, times["lava"], times["stock"], "s"
    )


def _deep_start() -> Row:
    """Time from the integer graph to the end of the first step, everything included."""
    model = SpikeDrivenTransformer(preset("digits", depth=_DEPTH)).eval()
    net, _ = sdt_lava.to_network(model)
    frames = encode(net, np.random.default_rng(0).random((1, *net.input_shape)))
    seconds = []
    for _ in range(_ROUNDS_OF_STARTS):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            compiled = sdt_lava.compile(net, convolutions="conv")
            with OpenNetwork(compiled, frames, Path(folder), "accelerated") as network:
                network.run(1)
                seconds.append(time.perf_counter() - started)
    title = (
        f"start of {compiled.num_processes + 2} processes in one / limit of {_LARGEST_START:g} s"
    )
    return ratio_row(title, 1.0, seconds, [_LARGEST_START] * len(seconds), "s")
