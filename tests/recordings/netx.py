"""Networks of lava-dl: what SLAYER computes and exports, and what stock netx makes of files.

A recorded network stands for the one that was run in SLAYER: it has the same input and outputs, and
"exports" the file that SLAYER wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sdt_lava.io.netx import save_network
from sdt_lava.ir import Graph
from tests.graphs import random_chain, random_frames
from tests.recordings.store import Case, Cases, file_bytes, load, temporary_folder, write_file

# With this one no layer of the chains is silent.
SEED = 20_260_516
_LAYER = "layer."
# Name: function of tests.io.netx.slayer_nets, its arguments, those of the run.
SPIKES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "windows": ("windows", {}, {}),
    "graded": ("windows", {}, {"high": 16}),
    "thresholds": ("thresholds", {}, {}),
    "one step": ("thresholds", {}, {"timesteps": 1}),
    "one sample": ("windows", {}, {"samples": 1}),
    "convolutions with delays and biases": ("conv_delays", {}, {}),
    "delays": ("dense_delays", {}, {}),
    "delays longer than the sample": ("dense_delays", {}, {"timesteps": 3}),
    "delays and biases": ("dense_delays", {"norm": "mean"}, {}),
    "recurrent": ("recurrent", {}, {}),
    "recurrent with delays": ("recurrent", {"delay": True}, {}),
    "recurrent with biases": ("recurrent", {"norm": "mean", "current": 1.0}, {}),
    "decays by channel": ("own_decays", {}, {}),
    "currents multiplied": ("scaled", {"threshold": 0.5}, {}),
    "currents divided": ("scaled", {"threshold": 2.0}, {"high": 200}),
    "pools": ("pools", {}, {}),
    "image": ("image_neurons", {}, {}),
    "axonal": ("axonal", {}, {}),
    **{
        f"pool of {kernel} on {height}": ("one_pool", {"height": height, "kernel": kernel}, {})
        for height, kernel in ((5, 2), (7, 2), (6, 3))
    },
}
# The same of tests.io.netx.sigma_delta_nets.
MESSAGES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "dense": ("dense", {}, {}),
    "dense with biases": ("dense", {"norm": True}, {}),
    "windows": ("windows", {}, {}),
    "windows with biases": ("windows", {"norm": True}, {}),
    "pools with a bias": ("pools", {}, {}),
    "without encoders": ("headless", {}, {}),
}
_SEEDS = {"axonal": 4, **dict.fromkeys(MESSAGES, 3)}
# Chains of ours that stock netx can hold.
CHAINS: dict[str, dict[str, Any]] = {
    "convolutions and dense layers": {},
    "payloads": {"low": -100, "high": 255, "convs": (3, 2), "denses": (4,)},
    "dense only": {"image": (7,), "convs": ()},
    "convolutions only": {"convs": (4, 4), "denses": (), "biases": False},
    "flatten first": {"image": (2, 3, 4), "convs": (), "denses": (5,)},
    "one token": {"image": (3, 1, 1), "timesteps": 1},
    "short": {"timesteps": 2},
}
DECAYS = ((0, 0), (4096, 4096), (0, 4095), (1, 1))


class Recorded:
    """A network that has run in SLAYER.

    Parameters
    ----------
    case : dict of str to ndarray
        Its recording.

    Attributes
    ----------
    x : ndarray
        ``(B, T, *shape)``, or ``(B, *shape)`` for an image.
    timesteps : int
        T.
    outputs : dict of str to ndarray
        What each layer with neurons sent, ``(T, B, *shape)``.
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        self.x, self.timesteps = case["x"], int(case["T"])
        self.outputs = {key: case[key] for key in case if key.startswith(_LAYER)}

    def export(self, path: Path, change: Callable[[h5py.File], object] | None = None) -> Path:
        """Write the file that SLAYER wrote, change it, and return its path."""
        write_file(self._case, path)
        if change is not None:
            with h5py.File(path, "r+") as file:
                change(file)
        return path


def spikes(name: str, seed: int = 0) -> Recorded:
    """Return a network of spikes."""
    return Recorded(load("slayer-spikes")[_named(name, seed)])


def messages(name: str, seed: int = 0) -> Recorded:
    """Return a sigma-delta network."""
    return Recorded(load("slayer-messages")[_named(name, seed)])


def _named(name: str, seed: int) -> str:
    return f"{name}, seed {seed}"


def seeds_of(name: str) -> range:
    """Return the seeds with which a network is recorded."""
    return range(_SEEDS.get(name, 2))


def record(subject: str, executor: str = "processes") -> Cases:
    """Return the cases of a subject; SLAYER runs in this process, whatever the executor."""
    return _RECORD[subject](executor)


def _record_spikes(executor: str) -> Cases:
    from tests.io.netx import slayer_nets as nets

    cases = {}
    for name, (make, arguments, options) in SPIKES.items():
        for seed in seeds_of(name):
            network = nets.Spikes(partial(getattr(nets, make), **arguments), seed, **options)
            cases[_named(name, seed)] = _case(network, network.spikes)
    return cases


def _record_messages(executor: str) -> Cases:
    from tests.io.netx import sigma_delta_nets as nets

    cases = {}
    for name, (make, arguments, options) in MESSAGES.items():
        for seed in seeds_of(name):
            network = nets.Messages(partial(getattr(nets, make), **arguments), seed, **options)
            cases[_named(name, seed)] = _case(network, network.messages)
    return cases


def _case(network: Any, outputs: dict[str, np.ndarray]) -> Case:
    with temporary_folder() as folder:
        file = file_bytes(network.export(Path(folder) / "slayer.net"))
    steps = next(iter(outputs.values())).shape[0]
    return {"x": network.x, "T": np.array(steps), **outputs, "file": file}


def _record_stock_spikes(executor: str) -> Cases:
    """Files of ours in stock netx, samples one after another: every layer's spikes."""
    from tests.io.netx.stock_lava import run_stock_layers

    cases = {}
    with temporary_folder() as folder:
        for name, (graph, frames) in stock_networks().items():
            path = Path(folder) / "net.net"
            save_network(graph, path)
            bits = 0 if (graph.input.low, graph.input.high) == (0, 1) else 16
            layers = run_stock_layers(path, frames, bits, executor=executor)
            sent = dict(zip(graph.lif_names, layers, strict=True))
            cases[name] = {"frames": frames, **sent, "file": file_bytes(path)}
    return cases


def stock_networks() -> dict[str, tuple[Graph, np.ndarray]]:
    """Return chains that stock netx can hold, and their input ``(T, B, *shape)``."""
    found = {}
    for number, (name, options) in enumerate(CHAINS.items()):
        rng = np.random.default_rng((SEED, number))
        graph = random_chain(rng, **options)
        found[name] = graph, random_frames(rng, graph, 3)
    for decays in DECAYS:
        rng = np.random.default_rng(SEED)
        nodes = list(random_chain(rng, image=(6,), convs=(), denses=(8,)))
        values = {"current_decay": decays[0], "voltage_decay": decays[1], "threshold": 200}
        nodes[-1] = type(nodes[-1])(**{**vars(nodes[-1]), **values})
        graph = Graph.build(nodes, 5)
        found[f"decays {decays[0]} and {decays[1]}"] = graph, random_frames(rng, graph, 3)
    return found


# Sigma-delta networks with encoders that stock netx runs.
STOCK_MESSAGES = ("dense", "dense with biases", "windows", "windows with biases")


def _record_stock_messages(executor: str) -> Cases:
    """Sigma-delta networks in stock netx, each sample from a fresh start."""
    run = partial(_stock_messages, executor)
    cases = {_named(name, seed): run(name, seed) for name in STOCK_MESSAGES for seed in range(2)}
    # Without encoders, changes of any size enter.
    plain = {"largest": 4000, "samples": 1}
    cases["without encoders, seed 1"] = run("without encoders", 1, **plain)
    cases["decoded image, seed 2"] = run("without encoders", 2, **plain, change=_decode)
    return cases


def _decode(file: h5py.File) -> None:
    file["layer/2/neuron/sigma_output"] = True


def _stock_messages(
    executor: str,
    name: str,
    seed: int,
    *,
    largest: int = 64,
    samples: int = 2,
    change: Callable[[h5py.File], object] | None = None,
) -> Case:
    from tests.io.netx.stock_lava import run_stock_messages

    network = messages(name, seed)
    shape = (samples, 6, *network.x.shape[2:])
    frames = np.random.default_rng((SEED, seed)).integers(-largest, largest, shape, endpoint=True)
    with temporary_folder() as folder:
        path = network.export(Path(folder) / "slayer.net", change)
        layers = [run_stock_messages(path, sample, executor=executor) for sample in frames]
    joined = [np.concatenate(parts, axis=1) for parts in zip(*layers, strict=True)]
    return {"frames": frames, **dict(zip(network.outputs, joined, strict=True))}


_RECORD: dict[str, Callable[[str], Cases]] = {
    "slayer-spikes": _record_spikes,
    "slayer-messages": _record_messages,
    "stock-spikes": _record_stock_spikes,
    "stock-messages": _record_stock_messages,
}
SUBJECTS = tuple(_RECORD)
