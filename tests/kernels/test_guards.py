"""Kernels of the compiled models between guards: values, sums and tables."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lava.proc.conv import utils
from scipy.sparse import block_diag, csr_matrix

from sdt_lava.backends.lava.processes.propagation import (
    propagate_kernels,
    propagate_matrix,
    propagate_weights,
    rounded,
)
from sdt_lava.kernels.matrices import LINK, column_table, propagate_network, run_table
from sdt_lava.kernels.populations import integrate, population_table, relay
from sdt_lava.kernels.signals import PLACE, record, transpose
from sdt_lava.support.allocation import GUARDS, guarding, placed, placed_fields, zeros

pytestmark = pytest.mark.lava

SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.sampled_from(GUARDS)
RATES = st.sampled_from([0, 0.1, 0.5, 1])
FEW = settings(max_examples=40, deadline=None)
PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


def events(rng, shape, rate, graded):
    values = rng.integers(-50, 51, shape) if graded else 1
    return placed(np.where(rng.random(shape) < rate, values, 0).astype(np.int32))


@FEW
@given(
    seed=SEEDS, side=SIDES, rate=RATES, graded=st.booleans(), kernel=PAIRS, stride=PAIRS,
    dilation=PAIRS, padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    groups=st.sampled_from([1, 1, 1, 2, 3]), outputs=st.sampled_from([1, 2, 17, 32, 33, 64, 65]),
    sides=st.tuples(st.integers(1, 7), st.integers(1, 17)), channels=st.integers(1, 5),
)  # fmt: skip
def test_convolutions(
    seed, side, rate, graded, kernel, stride, dilation, padding, groups, outputs, sides, channels
):
    rng = np.random.default_rng(seed)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    rows, columns = (max(s, r - 2 * p) for s, r, p in zip(sides, reach, padding, strict=True))
    source = rows, columns, channels * groups
    weight = rng.integers(-128, 128, (outputs * groups, *kernel, channels)) * 2
    window = stride, padding, dilation
    with guarding(side):
        values = events(rng, source, rate, graded)
        turned = np.ascontiguousarray(weight[:, ::-1, ::-1], np.int32)
        expected = utils.conv(values, turned, kernel, *window, groups)
        add = propagate_kernels(weight, (source, expected.shape), window, groups, graded)
        sums = zeros(expected.size, np.int32)
        for times in (1, 2):
            add(values.reshape(-1), sums)
            assert np.array_equal(sums, times * expected.reshape(-1))


@FEW
@given(
    seed=SEEDS, side=SIDES, rate=RATES, graded=st.booleans(), exponent=st.sampled_from([-2, 0, 3]),
    inputs=st.sampled_from([1, 2, 16, 17, 70]), outputs=st.sampled_from([1, 3, 16, 65]),
    density=st.sampled_from([0.05, 0.5, 1]),
)  # fmt: skip
def test_matrices(seed, side, rate, graded, exponent, inputs, outputs, density):
    rng = np.random.default_rng(seed)
    weight = rng.integers(-128, 128, (outputs, inputs)) * (rng.random((outputs, inputs)) < density)
    with guarding(side):
        values = events(rng, inputs, rate, graded)
        total = weight.astype(np.int64) @ values
        expected = total << exponent if exponent >= 0 else total >> -exponent
        for propagate in (
            propagate_matrix(csr_matrix(weight.astype(np.int32)), exponent, graded),
            propagate_weights(weight, exponent, graded),
        ):
            sums = zeros(outputs, np.int32)
            rounded(propagate, exponent, outputs)(values, sums)
            assert np.array_equal(sums, expected)


@FEW
@given(
    seed=SEEDS, side=SIDES, rate=RATES, graded=st.booleans(), steps=st.integers(1, 3),
    sizes=st.lists(st.tuples(st.integers(1, 20), st.integers(1, 40)), min_size=1, max_size=3),
)  # fmt: skip
def test_networks(seed, side, rate, graded, steps, sizes):
    rng = np.random.default_rng(seed)
    weights = [rng.integers(-128, 128, size[::-1]) for size in sizes]
    inputs, outputs = (np.cumsum([0, *side]) for side in zip(*sizes, strict=True))
    delays = rng.integers(0, steps, len(sizes))
    # All matrices side by side, with rows and columns of their own.
    joined = block_diag(weights, "csr", np.int32)
    # The columns of each begin one further, as every table ends with a start of its own.
    with guarding(side):
        table = run_table(column_table(joined))
        starts = [table.start[a : b + 1] for a, b in pairwise(inputs)]
        table = placed_fields(table._replace(start=np.concatenate(starts)))
        columns = inputs[:-1] + np.arange(len(sizes))
        links = placed(
            np.array(
                [
                    (column, first, size[0], delay, graded)
                    for column, first, size, delay in zip(
                        columns, inputs[:-1], sizes, delays, strict=True
                    )
                ],
                LINK,
            )
        )
        values = events(rng, int(inputs[-1]), rate, graded)
        arriving = zeros((steps, int(outputs[-1])), np.int32)
        propagate_network(values, links, table, arriving, 4)
    expected = np.zeros_like(arriving)
    for number, weight in enumerate(weights):
        sent = values[inputs[number] : inputs[number + 1]]
        expected[(4 + delays[number]) % steps, outputs[number] : outputs[number + 1]] = (
            weight @ sent
        )
    assert np.array_equal(arriving, expected)


@FEW
@given(
    seed=SEEDS, side=SIDES, size=st.sampled_from([1, 7, 15, 16, 17, 1023, 1024, 1025]),
    channels=st.integers(1, 5),
)  # fmt: skip
def test_populations(seed, side, size, channels):
    rng = np.random.default_rng(seed)
    count = size * channels
    arrived = rng.integers(-(2**12), 2**12, count).astype(np.int32)
    fields = [rng.integers(*limit, channels) for limit in ((-9, 9), (0, 4096), (0, 4096), (0, 99))]

    def run(place):
        current, voltage, spikes = (place(np.zeros(count, np.int32)) for _ in range(3))
        integrate(place(arrived), current, voltage, population_table([(count, fields)]), spikes)
        payload, row = place(np.zeros(count, np.int32)), place(np.zeros(count, np.uint8))
        relay(place(arrived), place(np.zeros(count, np.int32)), 5, payload)
        assert record(spikes, row)
        turned = place(np.zeros(count, np.int32))
        transpose(payload, place(np.array([(0, size, channels, 0)], PLACE)), turned)
        return [np.array(x) for x in (current, voltage, spikes, payload, row, turned)]

    expected = run(np.copy)
    assert np.array_equal(expected[3], np.where(np.abs(arrived) > 5, arrived, 0))
    assert np.array_equal(expected[5], expected[3].reshape(size, channels).T.ravel())
    with guarding(side):
        found = run(placed)
    for left, right in zip(found, expected, strict=True):
        assert np.array_equal(left, right)
