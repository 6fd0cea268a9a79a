"""Neurons and transposition on their own, where the vectors of a loop begin and end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lava.proc.lif.process import LIF

from sdt_lava.kernels.populations import integrate, population_table
from sdt_lava.kernels.signals import PLACE, transpose
from tests.backends.lava.processes.one_process import assert_same

pytestmark = pytest.mark.lava

INT32 = np.iinfo(np.int32)
SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=25, deadline=None)


@FEW
@given(seed=SEEDS, kept=st.integers(0, 4096), size=st.integers(1, 70))
def test_leaks_of_any_state_round_towards_zero(seed, kept, size):
    rng = np.random.default_rng(seed)
    current = rng.integers(INT32.min, INT32.max, size, endpoint=True).astype(np.int32)
    current[:3] = [INT32.min, INT32.max, -1][:size]
    silence, voltage, spikes = (np.zeros(size, np.int32) for _ in range(3))
    expected = np.sign(current) * (np.abs(current.astype(np.int64)) * kept // 4096)
    expected = np.where(expected > 2**23, expected - 2**24, expected)
    expected = np.where(expected <= -(2**23), expected + 2**24, expected)
    integrate(silence, current, voltage, population_table([(size, (0, kept, 0, 1))]), spikes)
    assert np.array_equal(current, expected.astype(np.int32))


@pytest.mark.parametrize("memory", [0, 4095])
@pytest.mark.parametrize("uniform", [True, False])
def test_more_neurons_than_parameters(memory, uniform):
    rng = np.random.default_rng(memory)
    size = 2500
    threshold = 100 if uniform else rng.integers(0, 400, size)
    events = rng.integers(-2000, 2000, (5, size)).astype(np.int32)

    def make():
        process = LIF(shape=(size,), du=4095 - memory, dv=300, vth=threshold)
        return process, process.a_in, process.s_out

    assert 0 < assert_same(make, [events], "u", "v").mean() < 1


@FEW
@given(seed=SEEDS, sizes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 5)), max_size=4))
def test_populations_one_after_another(seed, sizes):
    rng = np.random.default_rng(seed)
    populations = []
    for positions, channels in [*sizes, (700, 3)]:
        limits = [(-500, 500), (0, 4096), (0, 4096), (0, 2**16)]
        fields = [rng.integers(*limit, channels) for limit in limits]
        fields[1] *= rng.integers(0, 2)
        populations.append((positions * channels, fields))
    size = sum(count for count, _ in populations)
    arrived = rng.integers(-(2**12), 2**12, size).astype(np.int32)
    state = rng.integers(-(2**23), 2**23, (2, size)).astype(np.int32)
    together, spikes = state.copy(), np.zeros(size, np.int32)
    integrate(arrived, *together, population_table(populations), spikes)
    begin = 0
    for count, fields in populations:
        part = slice(begin, begin + count)
        alone, fired = state[:, part].copy(), np.zeros(count, np.int32)
        # A value for each neuron.
        repeated = [np.tile(field, count // field.size) for field in fields]
        integrate(arrived[part], *alone, population_table([(count, repeated)]), fired)
        assert np.array_equal(together[:, part], alone)
        assert np.array_equal(spikes[part], fired)
        begin += count


@FEW
@given(
    seed=SEEDS,
    shapes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=3),
)
def test_transpose(seed, shapes):
    rng = np.random.default_rng(seed)
    sizes = [rows * columns for rows, columns in shapes]
    begins = np.cumsum([1, *sizes])
    source = rng.integers(INT32.min, INT32.max, begins[-1] + 1).astype(np.int32)
    target = source.copy()
    table = [(begin, *shape, begin) for begin, shape in zip(begins, shapes, strict=False)]
    transpose(source, np.array(table, PLACE), target)
    expected = source.copy()
    for begin, size, shape in zip(begins, sizes, shapes, strict=False):
        expected[begin : begin + size] = source[begin : begin + size].reshape(shape).T.ravel()
    assert np.array_equal(target, expected)
