"""Convolutions of spikes against Lava's, in both orders of images and at the limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lava.proc import io
from lava.proc.conv.process import Conv

from sdt_lava.backends.lava.processes.run_config import run_config
from sdt_lava.backends.lava.session import EXECUTORS, LavaSession
from sdt_lava.kernels.rows import EVENTS_PER_SUM
from sdt_lava.kernels.spike_windows import spike_windows
from sdt_lava.kernels.words import HALF, LANES
from tests.backends.lava.processes.one_process import assert_same

pytestmark = pytest.mark.lava

SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=25, deadline=None)
STEPS = 4
ONCE = ((1, 1), (0, 0), (1, 1))


@FEW
@given(
    seed=SEEDS,
    shift=st.sampled_from([0, 0, 1, 5, 15, 22]),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 20)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    outputs=st.sampled_from([1, 3, HALF, HALF + 1, LANES, LANES + 1]),
    density=st.sampled_from([0.05, 0.3, 1.0]),
    turned=st.booleans(),
)
def test_spikes(seed, shift, size, kernel, stride, padding, outputs, density, turned):
    rng = np.random.default_rng(seed)
    reach = [max(s, k - 2 * p) for s, k, p in zip(size[:2], kernel, padding, strict=True)]
    shape = (*reach, size[2])
    weight = rng.integers(-128, 128, (outputs, *kernel, size[2])) << shift
    window = {"stride": stride, "padding": padding}
    assert spike_windows(weight, shape, (stride, padding, (1, 1)), 1) is not None
    # Any value but 0 is an event.
    events = (rng.random((STEPS, *shape)) < density) * rng.integers(1, 4, (STEPS, *shape))

    def make():
        process = Conv(weight=weight, input_shape=shape, **window)
        if not turned:
            return process, process.s_in, process.a_out
        # From (C, H, W) to Lava's (W, H, C) and back.
        source = io.source.RingBuffer(data=np.moveaxis(events, 0, -1).transpose(2, 1, 0, 3))
        source.s_out.transpose((2, 1, 0)).connect(process.s_in)
        return process, None, process.a_out.transpose((2, 1, 0))

    assert_same(make, [events.astype(np.int32)], "a_buf")


@pytest.mark.parametrize("extreme", [-128, 127])
@pytest.mark.parametrize("outputs", [HALF, LANES + 5])
def test_more_events_than_a_sum_of_16_bit_holds(extreme, outputs):
    weight = np.full((outputs, 3, 3, 60), extreme)
    assert 2 * EVENTS_PER_SUM < 3 * 3 * 60

    def make():
        process = Conv(weight=weight, input_shape=(4, 3, 60))
        return process, process.s_in, process.a_out

    sent = assert_same(make, [np.ones((2, 4, 3, 60), np.int32)], "a_buf")
    assert (sent[-1] == 3 * 3 * 60 * extreme).all()


def test_what_is_left_to_the_general_kernel():
    weight = np.array([-128, 127]).reshape(2, 1, 1, 1)
    assert spike_windows(weight, (3, 3, 1), ONCE, 1) is not None
    assert spike_windows(weight * 2**20, (3, 3, 1), ONCE, 1) is not None
    assert spike_windows(weight + 1, (3, 3, 1), ONCE, 1) is None
    assert spike_windows(weight, (3, 3, 2), ONCE, 2) is None
    assert spike_windows(weight, (3, 3, 1), (*ONCE[:2], (1, 2)), 1) is None
    nothing = spike_windows(0 * weight, (3, 3, 1), ONCE, 1)
    assert nothing is not None
    assert not nothing.weights.any()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_sums_that_are_set_between_runs_are_sent_in_any_order(executor):
    rng = np.random.default_rng(0)
    events = (rng.random((8, 3, 5, 6)) < 0.3).astype(np.int32)
    weight = rng.integers(-128, 128, (4, 3, 2, 3))
    mine = rng.integers(-1000, 1000, (4, 4, 4))

    def run(models: str) -> np.ndarray:
        source = io.source.RingBuffer(data=np.moveaxis(events, 0, -1))
        conv = Conv(weight=weight, input_shape=(6, 5, 3))
        sink = io.sink.RingBuffer(shape=(4, 4, 4), buffer=8)
        source.s_out.transpose((2, 1, 0)).connect(conv.s_in)
        conv.a_out.transpose((2, 1, 0)).connect(sink.a_in)
        with LavaSession(source, run_config(models), executor=executor) as session:
            session.run(4)
            between = conv.a_buf.get()
            conv.a_buf.set(mine)
            session.run(4)
            parts = sink.data.get(), between, conv.a_buf.get()
            return np.concatenate([part.ravel() for part in parts])

    expected = run("lava")
    assert np.array_equal(expected, run("accelerated"))
    assert expected.any()
