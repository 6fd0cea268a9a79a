"""Operators that differ from integers are found by probes, and refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sdt_lava.engine import exact
from sdt_lava.engine.dense import Float32, Float64, Loops, OneDnn
from sdt_lava.engine.exact import ExactSums, choose_dense
from sdt_lava.engine.probe import difference
from sdt_lava.engine.synapses import Weights, Window
from sdt_lava.ir import Conv, Dense, Flatten, Graph, Input, Lif
from sdt_lava.ir.reference import run_reference
from tests.engine.layers import assert_exact
from tests.engine.operators import ORDERS, exact_sums, in_memory

# What operators have been seen to do, or may do.


class Saturating(Loops):
    """Two 8-bit products are added in 16 bits, as without VNNI."""

    name = "saturating"

    def sums(self, events):
        weight = self.weights.mantissa
        parts = events.numpy()[:, :, None] * weight[:, :, 0, 0].T[None, :, :, None, None]
        pairs = parts.reshape(len(parts), -1, 2, *parts.shape[2:]).sum(axis=2)
        return torch.from_numpy(np.clip(pairs, -(2**15), 2**15 - 1).sum(axis=1))


class Rounding(Float32):
    """Sums lose bits, as in TF32 and bfloat16."""

    name = "rounding"

    def sums(self, events):
        return super().sums(events).bfloat16().float()


class TooFar(Loops):
    """The input behind the last one is added."""

    name = "too far"

    def sums(self, events):
        size = int(np.prod(events.shape))
        end = events.storage_offset() + size
        behind = events.as_strided((1,), (1,), end) if end < events.untyped_storage().size() else 0
        sums = super().sums(events).clone()
        sums[-1, -1, -1, -1] += (behind.item() != 0) if torch.is_tensor(behind) else 0
        return sums


class OneOff(Loops):
    """One single sum is 1 too large."""

    name = "one off"

    def sums(self, events):
        sums = super().sums(events).clone()
        sums[-1, -1, -1, -1] += 1
        return sums


class Exchanged(Loops):
    """Two columns are exchanged."""

    name = "exchanged"

    def sums(self, events):
        sums = super().sums(events).clone()
        return sums.flip(3)


class Unwritten(Float64):
    """One sum is never written."""

    name = "unwritten"

    def sums(self, events):
        sums = super().sums(events).clone()
        sums[0, 0, 0, 0] = float("nan")
        return sums


class Fractions(Float64):
    """Sums are almost right."""

    name = "fractions"

    def sums(self, events):
        return super().sums(events) + 1e-3


class Missing(Float64):
    """The operator has no code for these inputs."""

    name = "missing"

    def sums(self, events):
        raise RuntimeError("could not create a primitive")


class Impossible(Float64):
    """Weights cannot be prepared."""

    name = "impossible"

    def __init__(self, weights, device=None):
        raise NotImplementedError("no such layout")


class Misshapen(Loops):
    """A row is missing."""

    name = "misshapen"

    def sums(self, events):
        return super().sums(events)[:, :, 1:]


FAULTY = (
    Saturating, Rounding, TooFar, OneOff, Exchanged, Unwritten, Fractions, Missing, Impossible,
    Misshapen,
)  # fmt: skip


@pytest.mark.parametrize("kind", FAULTY)
@pytest.mark.parametrize("images", [1, 5])
def test_an_operator_that_differs_is_refused(kind, images, caplog):
    rng = np.random.default_rng(images)
    weight = rng.choice([-127, 126, 127], (6, 4, 1, 1))
    weights = Weights(weight, Window((1, 1), (1, 2)), (0, 255))
    events = rng.integers(0, 256, (images, 4, 3, 7))
    dense = ExactSums(weights, "some layer", (kind, Float64, Loops))
    found = dense.sums(torch.from_numpy(events)).numpy()
    assert np.array_equal(found, exact_sums(events, weight, weights.window))
    assert dense.name == "float64"
    assert f"some layer: {kind.name}" in caplog.text and "float64 is used instead" in caplog.text
    assert not difference(lambda: Float64(weights), events.shape)


def test_saturation_that_the_weights_cannot_reach_is_no_obstacle():
    weight = np.full((6, 4, 1, 1), 64)
    assert not difference(
        lambda: Saturating(
            Weights(weight, Window((1, 1)), (0, 255)),
        ),
        (2, 4, 3, 3),
    )
    assert difference(
        lambda: Saturating(Weights(weight + 1, Window((1, 1)), (0, 255))), (2, 4, 3, 3)
    )


class ByStride(Float32):
    """What torch takes for its order in memory, left as it is: one channel is last and first."""

    name = "by stride"

    def bring(self, events):
        images, channels, height, width = events.shape
        values = events.to(self.events).contiguous()
        return values.as_strided(values.shape, (channels * height * width, 1, width, 1))


def test_one_channel_whose_stride_looks_like_channels_last():
    """torch 2.3.1: one channel, stride (1, s), one output column."""
    rng = np.random.default_rng(0)
    weights = Weights(rng.integers(-9, 9, (16, 1, 3, 3)), Window((3, 3), (1, 5)), (0, 255))
    wrong = difference(lambda: ByStride(weights), (5, 1, 12, 6))
    assert wrong == "gives other sums" or torch.__version__ != "2.3.1"
    for name in ("onednn", "float32"):
        dense = choose_dense(weights, "layer", name)
        events = rng.integers(0, 256, (5, 1, 12, 6))
        for order in ORDERS:
            found = dense.sums(in_memory(events, order)).numpy()
            assert np.array_equal(found, exact_sums(events, weights.mantissa, weights.window))


def test_a_network_of_one_channel_and_one_output_column():
    rng = np.random.default_rng(0)
    for channels, low, high in ((1, -128, 127), (1, 0, 255), (1, 0, 1), (2, -128, 127)):
        graph = Graph.build(
            [
                Input(name="input", shape=(channels, 17, 12), low=low, high=high),
                Conv(
                    name="conv", inputs=("input",), stride=(1, 4),
                    weight=2 * rng.integers(-60, 61, (8, channels, 13, 11)),
                ),
                Lif(name="lif", inputs=("conv",), threshold=5000 if high > 1 else 60),
                Flatten(name="flat", inputs=("lif",)),
                Dense(name="dense", inputs=("flat",), weight=2 * rng.integers(-60, 61, (10, 40))),
                Lif(name="out", inputs=("dense",), threshold=300),
            ],
            4,
        )  # fmt: skip
        frames = rng.integers(low, high + 1, (4, 6, *graph.input_shape))
        assert run_reference(graph, frames, strict=False)["lif"].any()
        for kernels in ("auto", "onednn", "float32", "interpreter"):
            assert_exact(graph, frames, kernels=kernels)


def test_a_verdict_holds_for_its_settings_only(monkeypatch):
    monkeypatch.setattr(exact, "_VERDICTS", {})
    asked = []
    monkeypatch.setattr(exact, "difference", lambda make, shape: asked.append(shape) or "")
    weights = Weights(np.full((2, 3, 1, 1), 5), Window((1, 1)), (0, 1))
    events = torch.ones((2, 3, 4, 4), dtype=torch.uint8)
    ExactSums(weights, "a", (Float32, Loops)).sums(events)
    same = Weights(weights.mantissa.copy(), Window((1, 1)), (0, 1))
    ExactSums(same, "b", (Float32, Loops)).sums(events)
    assert len(asked) == 1, "what is known is not asked again"
    ExactSums(same, "b", (Float32, Loops)).sums(events[:1])
    ExactSums(same, "b", (Float64, Loops)).sums(events)
    with torch.backends.mkldnn.flags(enabled=False):
        ExactSums(same, "b", (Float32, Loops)).sums(events)
    other = Weights(weights.mantissa + 1, Window((1, 1)), (0, 1))
    ExactSums(other, "b", (Float32, Loops)).sums(events)
    assert len(asked) == 5


def test_onednn_itself_is_asked_whether_it_saturates(monkeypatch, caplog):
    weights = Weights(np.full((2, 15, 3, 3), 2), Window((3, 3)), (0, 255))
    monkeypatch.setattr(exact, "_VERDICTS", {})
    own = OneDnn.sums
    monkeypatch.setattr(OneDnn, "sums", lambda self, events: own(self, events).clamp(max=2**14))
    with caplog.at_level("DEBUG"):
        assert choose_dense(weights, "layer").name == "float32"
    assert "saturates" in caplog.text


def test_no_memory_is_no_verdict():
    class Large(Float64):
        def sums(self, events):
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    weights = Weights(np.full((2, 3, 1, 1), 5), Window((1, 1)), (0, 1))
    with pytest.raises(RuntimeError, match="allocate"):
        difference(lambda: Large(weights), (1, 3, 2, 2))
