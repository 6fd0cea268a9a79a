"""Stock networks: ours beside lava-dl's own ``netx.hdf5.Network`` on the same file and input."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import sdt_lava
from benchmarks.common import Row, interleaved, ratio_row
from benchmarks.sessions import OpenNetwork
from benchmarks.stock import (
    PILOTNET,
    PILOTNET_INPUT,
    Layer,
    StockNetwork,
    export_chain,
    random_spikes,
)
from sdt_lava.compiler.compile import CompiledNetwork
from sdt_lava.io.netx import load_network
from sdt_lava.ir import Graph

TIME_LIMIT = 240.0
TIMESTEPS = 8
# Samples of one call, and calls of one measurement: about half a second, so that neither a call's
# overhead matters nor that the processor has been idle and its caches hold something else.
_ENGINE_SAMPLES, _ENGINE_CALLS = 32, 12
# Fewest and most measurements.
_ROUNDS = (3, 50)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Case:
    """A network and how long to run it.

    Parameters
    ----------
    name : str
        Name in the rows.
    layers : tuple of Layer
        Network.
    shape : tuple of int
        Of its input.
    stock_steps, our_steps : int
        Time steps of one measurement.
    seconds : float
        Measurements are repeated for about so long.
    recorded : tuple of int
        Layers of the stock network whose spikes are compared.
    targets : dict of str to float
        What is asked for, by what runs.
    """

    name: str
    layers: tuple[Layer, ...]
    shape: tuple[int, ...]
    stock_steps: int
    our_steps: int
    seconds: float
    recorded: tuple[int, ...]
    targets: dict[str, float]


CASES = (
    Case(
        name="PilotNet",
        layers=PILOTNET,
        shape=PILOTNET_INPUT,
        stock_steps=1,
        our_steps=40,
        seconds=20,
        recorded=tuple(range(len(PILOTNET))),
        targets={"accelerated": 200, "fused": 200, "engine": 1000},
    ),
    Case(
        name="16 dense layers of 256",
        layers=(Layer(256),) * 16,
        shape=(256,),
        stock_steps=50,
        our_steps=400,
        seconds=8,
        recorded=(-1,),
        targets={"accelerated": 5, "fused": 5},
    ),
)


def rows() -> Iterator[Row]:
    """Steps/s of stock netx, and of ours in one process and in the engine."""
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            yield from _measure(case, Path(folder))


def _measure(case: Case, folder: Path) -> Iterator[Row]:
    path = folder / "network.net"
    export_chain(path, case.layers, case.shape)
    net = replace(load_network(path, input_shape=case.shape), timesteps=TIMESTEPS)
    depth = len(case.layers)
    # As many as are run at most: until all layers are alive, in the warm-up and in all rounds.
    steps = depth + 2 + max(case.our_steps, case.stock_steps) * (1 + _ROUNDS[1])
    frames = random_spikes(case.shape, TIMESTEPS, -(-steps // TIMESTEPS))
    _log_rates(net, frames)
    compiled = sdt_lava.compile(net, convolutions="conv")
    models = [name for name in case.targets if name != "engine"]
    with ExitStack() as stack:
        stock = StockNetwork(path, frames, folder, case.recorded)
        stock.run(depth + 2)
        stack.callback(stock.stop)
        ours = {
            name: stack.enter_context(OpenNetwork(compiled, frames, folder / name, name))
            for name in models
        }
        for network in ours.values():
            network.run(depth + 2)
        # Spikes as bytes, as they come from a file.
        part = np.swapaxes(frames[:, :_ENGINE_SAMPLES], 0, 1).astype(np.uint8, order="C")
        functions = {
            "stock": lambda: stock.run(case.stock_steps),
            **{name: lambda n=n: n.run(case.our_steps) for name, n in ours.items()},
            **({"engine": lambda: _run_engine(net, part)} if "engine" in case.targets else {}),
        }
        times = interleaved(functions, seconds=case.seconds, rounds=_ROUNDS)
        done = depth + 2 + case.stock_steps * (1 + len(times["stock"]))
        _check_equal(case, net, stock, ours, done)
        _check_engine(case, compiled, frames, stock, done)
    run = dict.fromkeys(models, case.our_steps)
    run["engine"] = TIMESTEPS * _ENGINE_SAMPLES * _ENGINE_CALLS
    run["stock"] = case.stock_steps
    speeds = {name: [run[name] / seconds for seconds in values] for name, values in times.items()}
    for name, target in case.targets.items():
        title = f"{case.name}: {name} / lava-dl netx"
        yield ratio_row(
            title, target, speeds[name], speeds["stock"], "steps/s", more_is_better=True
        )


def _run_engine(net: Graph, part: np.ndarray) -> None:
    for _ in range(_ENGINE_CALLS):
        sdt_lava.simulate(net, part)


def _log_rates(net: Graph, frames: np.ndarray) -> None:
    result = sdt_lava.simulate(net, np.swapaxes(frames[:, :4], 0, 1))
    rates = ", ".join(f"{result.spikes[name].mean():.3f}" for name in net.lif_names)
    logger.info("  firing rates: input %.3f, layers %s", frames.mean(), rates)


def _check_equal(
    case: Case,
    net: Graph,
    stock: StockNetwork,
    ours: dict[str, OpenNetwork],
    steps: int,
) -> None:
    """Compare every step that stock netx has run."""
    names: Sequence[str] = net.lif_names
    for layer in case.recorded:
        expected = stock.recorded(layer)[:steps]
        for models, network in ours.items():
            if not np.array_equal(expected, network.recorded(names[layer])[:steps]):
                raise AssertionError(f"{case.name}, {models}: other spikes in layer {layer}")
    logger.info("  equal spikes in %d layers over %d steps", len(case.recorded), steps)


def _check_engine(
    case: Case, compiled: CompiledNetwork, frames: np.ndarray, stock: StockNetwork, steps: int
) -> None:
    """Compare the engine, which has no latency, with every step that stock netx has run."""
    net = compiled.source
    samples = -(-steps // TIMESTEPS)
    spikes = sdt_lava.simulate(net, np.swapaxes(frames[:, :samples], 0, 1), "engine").spikes
    for layer in case.recorded:
        name = net.lif_names[layer]
        latency = compiled.schedule.latency[name]
        in_turn = spikes[name].swapaxes(0, 1).reshape(samples * TIMESTEPS, -1)
        if not np.array_equal(stock.recorded(layer)[latency:steps], in_turn[: steps - latency]):
            raise AssertionError(f"{case.name}, engine: other spikes in layer {layer}")
