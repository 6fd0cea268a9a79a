"""Test kernels compiled by numba against the reference before their first use.

Each kernel computes small networks with the largest possible sums, for every form of neuron;
:mod:`sdt_lava.kernels.verdicts` defines when. Kernels that differ are never used, even if the
alternative is slow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from sdt_lava.engine.plan.buffers import Run
from sdt_lava.engine.plan.plan import Plan
from sdt_lava.engine.registry import Context
from sdt_lava.ir import Conv, Graph, Input, Lif, MaxPool, Node, OrPool, Shortcut
from sdt_lava.ir.numerics import IntArray
from sdt_lava.ir.reference import run_reference
from sdt_lava.kernels.verdicts import is_exact
from sdt_lava.support.torch_use import exact_if_loaded

# Names of kernels in a plan; code that packs, pools, counts and fires; code around operators of
# torch.
SUMS = ("event", "lookup", "int16")
SIGNALS, DENSE = "signals", "dense"

_STEPS, _BATCH = 3, 2
_LARGEST_TAPS = 160
_TABLE_BYTES = 1 << 28
# Leaks with separate forms of neurons: one half, a fraction of few bits, and any other.
_LEAKS = (2048, 1024, 123)


class _Trial(NamedTuple):
    """A network, its input ``(T, B, *shape)``, and the kernel to test."""

    graph: Graph
    frames: IntArray
    kernels: str
    with_torch: bool = False


def passes(name: str) -> bool:
    """Return whether a kernel agreed with the reference, in this or an earlier process."""
    return is_exact(name, lambda: _problem(name))


def _problem(name: str) -> str:
    """Return the error of a kernel, or ''."""
    for trial in _TRIALS[name]():
        if not _is_exact(trial):
            return "differs from the reference"
    return ""


def _is_exact(trial: _Trial) -> bool:
    graph, frames = trial.graph, trial.frames
    expected = run_reference(graph, frames, strict=False)
    lifs = frozenset(graph.lif_names)
    all_nodes = frozenset(graph.nodes) - {graph.input.name}
    fans = {name: np.ones((1, *graph.shapes[name][1:]), np.int64) for name in lifs}
    frame_steps = 1 if (frames == frames[0]).all() else len(frames)
    run = Run(frames.shape[1], len(frames), frame_steps, 1)
    # Neurons have other forms if currents or extremes are needed.
    for keep, tracked in ((lifs, False), (all_nodes, False), (lifs, True)):
        plan = Plan(
            graph, keep, counted=fans, tracked=tracked, kernels=trial.kernels,
            table_bytes=_TABLE_BYTES, with_torch=trial.with_torch,
        )  # fmt: skip
        with exact_if_loaded():
            outcome = plan.run(frames, run, Context())
        outputs = {name: output.unpack() for name, output in outcome.outputs.items()}
        if not all(np.array_equal(outputs[name], expected[name]) for name in keep):
            return False
        for name, counts in outcome.counts.items():
            sent = expected[name].reshape(*frames.shape[:2], -1).sum(axis=2)
            if not (counts == sent).all():
                return False
    return True


def _layers(
    shape: tuple[int, int, int], low: int, high: int, kernels: str, exponent: int = 0
) -> Iterator[_Trial]:
    """Yield single layers with every form of neuron, on inputs of different density.

    All values fit their registers, because kernels do not define what happens otherwise.
    """
    rng = np.random.default_rng(0)
    for number, leak in enumerate(_LEAKS):
        # Whole words of channels, a partly filled word, and few channels.
        outputs = (128, 70, 5)[number]
        weight = rng.integers(-128, 128, (outputs, shape[0], 3, 3))
        # Largest sums of both signs that fit.
        weight[[0, -1]] = 0
        weight.reshape(outputs, -1)[0, :_LARGEST_TAPS] = 127
        weight.reshape(outputs, -1)[-1, :_LARGEST_TAPS] = -128
        nodes = [
            Input(name="input", shape=shape, low=low, high=high),
            _conv("conv", "input", weight, exponent),
            _lif("lif", "conv", weight, high * 2.0**exponent, leak),
        ]
        graph = Graph.build(nodes, _STEPS)
        for share in (0.0, 0.3, 1.0):
            values = rng.integers(low, high + 1, (_STEPS, _BATCH, *shape))
            is_event = rng.random(values.shape) < share
            frames = np.full_like(values, high) if share == 1 else np.where(is_event, values, 0)
            yield _Trial(graph, frames, kernels, with_torch=kernels == "float32")


def _signals() -> Iterator[_Trial]:
    """Yield a network with pools, a shortcut and neurons that read stored currents."""
    rng = np.random.default_rng(1)
    first, second = (rng.integers(-128, 128, (70, 70, side, side)) for side in (3, 1))
    nodes = [
        Input(name="input", shape=(70, 6, 5)),
        _conv("conv", "input", first),
        _lif("lif", "conv", first, 1, 2048),
        OrPool(name="or", inputs=("lif",), kernel=3, stride=2, padding=1),
        _conv("conv2", "or", second),
        MaxPool(name="max", inputs=("conv",), kernel=3, stride=2, padding=1),
        Shortcut(name="sum", inputs=("conv2", "max")),
        _lif("lif2", "sum", first, 1, 1024),
    ]
    graph = Graph.build(nodes, _STEPS)
    frames = rng.integers(0, 2, (_STEPS, _BATCH, 70, 6, 5))
    for kernels in SUMS[:2]:
        if passes(kernels):
            yield _Trial(graph, frames, kernels)
            return
    raise RuntimeError("no kernel of sums is exact")


def _conv(name: str, source: str, mantissa: IntArray, exponent: int = 0) -> Conv:
    padding = (mantissa.shape[2] // 2, mantissa.shape[3] // 2)
    return Conv(
        name=name, inputs=(source,), weight=2 * mantissa, padding=padding, exponent=exponent
    )


def _lif(name: str, source: str, mantissa: IntArray, high: float, leak: int) -> Node:
    """Return neurons that fire sometimes."""
    spread = np.sqrt((mantissa[0].size * (mantissa.astype(float) ** 2).mean()) * 0.3) * high
    bias = np.arange(len(mantissa)) - len(mantissa) // 2
    threshold = int(min(2 * spread, 2**16))
    return Lif(
        name=name, inputs=(source,), threshold=threshold, voltage_decay=leak, bias=bias
    )  # fmt: skip


_TRIALS: dict[str, Callable[[], Iterator[_Trial]]] = {
    "event": lambda: _layers((70, 5, 4), 0, 1, "event"),
    "lookup": lambda: _layers((3, 5, 9), 0, 1, "lookup"),
    "int16": lambda: _layers((3, 5, 9), -255, 255, "int16", -6),
    SIGNALS: _signals,
    DENSE: lambda: _layers((70, 5, 4), 0, 1, "float32"),
}
