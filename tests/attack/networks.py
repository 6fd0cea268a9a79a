"""The network and the input of a case, from its number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from sdt_lava.ir import Graph
from tests.attack.webs import CHANNELS, random_web
from tests.cuba_graphs import random_cuba_chain
from tests.graphs import random_chain, random_frames, random_sdt_graph
from tests.sigma_delta_graphs import random_sigma_delta_chain

# Binary, pixels, signed, and the extremes of what kernels of 16 bits and of any width take.
RANGES = (
    (0, 1), (0, 1), (0, 1), (0, 255), (0, 255), (-128, 127), (-1, 1), (0, 2**15 - 1),
    (-(2**15), 2**15 - 1), (0, 40_000), (-(2**20), 2**20),
)  # fmt: skip
FILLS = ("random", "random", "random", "sparse", "silent", "saturated", "static", "extremes")
_STEPS = (1, 1, 2, 3, 4, 5, 9)


@dataclass(frozen=True)
class Case:
    """A network with its input.

    Parameters
    ----------
    number : int
        Of the case.
    family : str
        How it was made.
    fill : str
        How its input was made.
    graph : Graph
        The network.
    frames : ndarray of int64
        ``(T, B, *shape)``.
    rng : numpy Generator
        For what is drawn next.
    """

    number: int
    family: str
    fill: str
    graph: Graph
    frames: np.ndarray
    rng: np.random.Generator = field(repr=False)


def _sides(rng: np.random.Generator) -> tuple[int, int]:
    # Rows of 8 and of 16 are whole vectors of some kernels.
    sides = (1, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 20)
    height = int(rng.choice(sides[:9]))
    return height, int(rng.choice(sides))


def _image(rng: np.random.Generator) -> tuple[int, int, int]:
    channels = int(rng.choice((1, 1, 2, 3, 4, 5, 16, 64, 65)))
    height, width = _sides(rng)
    while channels * height * width > 3000:
        channels = max(1, channels // 4)
    return channels, height, width


def _chain(rng: np.random.Generator, low: int, high: int, steps: int) -> Graph:
    image = _image(rng) if rng.random() < 0.85 else (int(rng.choice(CHANNELS)),)
    some = [int(channels) for channels in rng.choice(CHANNELS[:12], 4)]
    layers, denses = int(rng.integers(1, 3)), int(rng.integers(0, 3))
    return random_chain(
        rng, image=image, low=low, high=high, timesteps=steps,
        convs=tuple(some[:layers]) if len(image) == 3 else (),
        denses=tuple(some[layers : layers + denses]) or (3,),
        varied=bool(rng.random() < 0.8), biases=bool(rng.random() < 0.7),
    )  # fmt: skip


def _transformer(rng: np.random.Generator, low: int, high: int, steps: int) -> Graph:
    height, width = _sides(rng)
    heads = int(rng.choice([0, 0, 0, 1, 2]))
    channels = int(rng.choice((1, 2, 3, 8, 16, 33, 64, 70))) * max(heads, 1)
    return random_sdt_graph(
        rng, image=(int(rng.integers(1, 4)), min(height, 8), min(width, 9)), channels=channels,
        blocks=int(rng.integers(1, 3)), classes=int(rng.choice([1, 3, 10])), timesteps=steps,
        low=low, high=high, mlp_ratio=int(rng.integers(1, 3)),
        downsampling=str(rng.choice(["or", "max", "stride", "subsample", "none"])),
        attention_weight=int(rng.choice([1, 2, 64])),
        attention_threshold=int(rng.choice([0, 1, 3])), dilation_heads=heads,
        biases=bool(rng.random() < 0.7),
    )  # fmt: skip


def _cuba(rng: np.random.Generator, low: int, high: int, steps: int) -> Graph:
    channels, height, width = _image(rng)
    image = (min(channels, 5), min(height, 6), min(max(width, 3), 9))
    return random_cuba_chain(
        rng, image=image if rng.random() < 0.7 else (int(rng.choice(CHANNELS[:10])),),
        timesteps=steps, delay=int(rng.choice([0, 1, 3, 9])), shift=int(rng.choice([0, 1, 4])),
        recurrent=bool(rng.random() < 0.6),
    )  # fmt: skip


def _web(rng: np.random.Generator, low: int, high: int, steps: int) -> Graph:
    shape = _image(rng) if rng.random() < 0.85 else (int(rng.choice(CHANNELS)),)
    return random_web(rng, shape, low, high, steps)


def _sigma_delta(rng: np.random.Generator, low: int, high: int, steps: int) -> Graph:
    channels, height, width = _image(rng)
    some = [int(channels) for channels in rng.choice(CHANNELS[:10], 3)]
    graph = random_sigma_delta_chain(
        rng, shape=(min(channels, 16), min(height, 6), min(width, 9)),
        channels=tuple(some[: rng.integers(1, 3)]), features=tuple(some[2:]),
        lead=bool(rng.random() < 0.5), encodes=bool(rng.random() < 0.7),
        decodes=bool(rng.random() < 0.7),
    )  # fmt: skip
    return replace(graph, timesteps=steps)


FAMILIES: dict[str, Callable[[np.random.Generator, int, int, int], Graph]] = {
    "web": _web,
    "transformer": _transformer,
    "chain": _chain,
    "cuba": _cuba,
    "sigma-delta": _sigma_delta,
}
# Webs have most to get wrong.
_WEIGHTS = (0.45, 0.2, 0.15, 0.1, 0.1)


def _filled(rng: np.random.Generator, graph: Graph, fill: str, batch: int) -> np.ndarray:
    frames = random_frames(rng, graph, batch)
    frames -= frames % graph.input.step
    low, high = graph.input.low, graph.input.high
    if fill == "sparse":
        frames[rng.random(frames.shape) < 0.95] = 0
    elif fill == "silent":
        frames[:] = 0
    elif fill == "saturated":
        frames[:] = high
    elif fill == "static":
        frames[:] = frames[0]
    elif fill == "extremes":
        frames[:] = rng.choice([low, high], frames.shape)
    return np.clip(frames, low, high)


def make_case(number: int) -> Case:
    """Return the case of a number: always the same one."""
    rng = np.random.default_rng(number)
    family = str(rng.choice(list(FAMILIES), p=_WEIGHTS))
    low, high = RANGES[rng.integers(len(RANGES))]
    graph = FAMILIES[family](rng, low, high, int(rng.choice(_STEPS)))
    fill = str(rng.choice(FILLS))
    frames = _filled(rng, graph, fill, int(rng.choice([1, 1, 2, 3, 5])))
    return Case(number, family, fill, graph, frames, rng)
