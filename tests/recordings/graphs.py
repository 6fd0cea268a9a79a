"""Networks that our compiler makes of integer graphs, run in Lava: what every population sends.

Of each population every machine step is recorded, from the first one on, in which nothing has
arrived yet, to the last one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sdt_lava.backends.deployment import compile_network
from sdt_lava.compiler.compile import CompiledNetwork
from sdt_lava.io.netx import load_network, save_network
from sdt_lava.ir import Graph
from tests.graphs import random_chain, random_frames, random_sdt_graph
from tests.overflow_graphs import random_overflow_frames, random_overflow_graph
from tests.recordings.store import Case, Cases, file_bytes, temporary_folder, write_file
from tests.sigma_delta_graphs import random_sigma_delta_chain

SEED = 20_260_514
_TIMEOUT = 300.0  # [s]
_SENT = "sent by "
Draw = Callable[[np.random.Generator], Graph]


@dataclass(frozen=True)
class Network:
    """What is drawn, and how it is compiled.

    Parameters
    ----------
    draw : callable
        Makes the graph.
    options : dict
        Arguments of ``compile_network``.
    frames : callable
        Makes input frames ``(T, B, *shape)`` of the graph and a number of samples.
    samples : int
        Samples that follow one another.
    """

    draw: Draw
    options: dict[str, Any] = field(default_factory=dict)
    frames: Callable[[np.random.Generator, Graph, int], np.ndarray] = random_frames
    samples: int = 3


def _sdt(**fields: Any) -> Draw:
    return lambda rng: random_sdt_graph(rng, **{"image": (2, 5, 3), "channels": 4, **fields})


def _chain(**fields: Any) -> Draw:
    return lambda rng: random_chain(rng, **fields)


def _changes(**fields: Any) -> Draw:
    return lambda rng: random_sigma_delta_chain(rng, **fields)


def _overflow(seed: int, **options: Any) -> Network:
    # Its own seed, as most networks end in neurons that are silent or always fire.
    return Network(
        lambda _: random_overflow_graph(np.random.default_rng(seed), layers=2),
        options,
        random_overflow_frames,
        samples=2,
    )


NETWORKS = {
    "transformer": Network(_sdt(blocks=2)),
    "transformer, convolutions": Network(_sdt(), {"convolutions": "conv"}),
    "transformer, matrices": Network(_sdt(), {"convolutions": "sparse"}),
    "transformer, one stream": Network(_sdt(), {"reset": False}),
    "unrolled shortcuts": Network(_sdt(), {"shortcut": "unrolled"}),
    "column gates": Network(_sdt(), {"sdsa": "column-gate"}),
    "columnless": Network(_sdt(), {"sdsa": "columnless"}),
    "max-pool of currents": Network(_sdt(downsampling="max")),
    "subsampled": Network(_sdt(downsampling="subsample", image=(2, 6, 5))),
    "dilations": Network(_sdt(dilation_heads=2)),
    "one token, one step": Network(
        _sdt(image=(1, 1, 1), channels=2, downsampling="none", timesteps=1)
    ),
    "chain with long memory": Network(_chain(timesteps=6)),
    "chain of payloads": Network(_chain(low=-100, high=255, convs=(3, 2), denses=(4,))),
    "sigma-delta": Network(_changes(), {"reset": False}),
    "sigma-delta without leads": Network(_changes(lead=False, features=(4, 3)), {"reset": False}),
    **{f"overflow {seed}": _overflow(seed) for seed in (2, 3, 5, 8, 13, 17, 21, 34)},
    "overflow 55, one stream": _overflow(55, reset=False),
    "overflow 13, matrices": _overflow(13, convolutions="sparse"),
}


def compiled_network(name: str, case: Case, folder: Path) -> CompiledNetwork:
    """Compile the network of a recording."""
    graph = load_network(write_file(case, folder / "network.h5"))
    return compile_network(graph, timesteps=len(case["frames"]), **NETWORKS[name].options)


def recorded_steps(case: Case) -> dict[str, np.ndarray]:
    """Return what each population sent, ``(machine steps, neurons)``."""
    return {
        key.removeprefix(_SENT): values for key, values in case.items() if key.startswith(_SENT)
    }


def draw(name: str, folder: Path) -> Case:
    """Return the network of a case, as a file, and its input."""
    network = NETWORKS[name]
    rng = np.random.default_rng((SEED, list(NETWORKS).index(name)))
    graph = network.draw(rng)
    save_network(graph, folder / "drawn.h5")
    frames = network.frames(rng, graph, network.samples)
    return {"file": file_bytes(folder / "drawn.h5"), "frames": frames}


def record(subject: str, executor: str = "processes") -> Cases:
    """Return the networks with what Lava's process models make of them."""
    cases: Cases = {}
    for name in NETWORKS:
        with temporary_folder() as folder:
            case = draw(name, Path(folder))
            cases[name] = {**case, **_run(name, case, Path(folder), executor)}
    return cases


def _run(name: str, case: Case, folder: Path, executor: str) -> Case:
    from sdt_lava.backends.lava.processes.run_config import run_config
    from sdt_lava.backends.lava.run import build_processes
    from sdt_lava.backends.lava.session import LavaSession

    compiled, frames = compiled_network(name, case, folder), case["frames"]
    lava = build_processes(compiled, frames, folder)
    with LavaSession(
        lava.source, run_config("lava"), timeout=_TIMEOUT, executor=executor
    ) as session:
        session.run(compiled.schedule.machine_steps(frames.shape[1]))
    return {
        f"{_SENT}{population}": np.array(lava.recorder.read(population))
        for population in lava.network.observed
    }
