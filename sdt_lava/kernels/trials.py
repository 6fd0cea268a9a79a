"""Test the kernels of the ProcessModels against NumPy before their first use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from sdt_lava.ir.numerics import ACTIVATION_SHIFT, DECAY_UNITY, STATE_LIMIT, LifParameters, lif_step
from sdt_lava.ir.windows import taps
from sdt_lava.kernels.convolutions import propagate_convolution, window_table
from sdt_lava.kernels.matrices import (
    LINK,
    column_table,
    propagate_dense,
    propagate_network,
    propagate_runs,
    propagate_sparse,
    row_table,
    run_table,
)
from sdt_lava.kernels.populations import integrate, population_table, relay
from sdt_lava.kernels.signals import (
    PLACE,
    record,
    shift_sums,
    transpose,
    transpose_sums,
    wrap_sums,
)
from sdt_lava.kernels.spike_windows import spike_windows, sum_windows
from sdt_lava.kernels.verdicts import is_exact

MODELS = "models"

# Computed and expected values.
_Pair = tuple[Any, Any]
_IMAGE, _SIDES = (6, 9, 5), (9, 20)
_SIZE, _CHANNELS = 111, 37
_STEPS = 3


def models_pass() -> bool:
    """Return whether the kernels of the ProcessModels passed in this or an earlier process."""
    return is_exact(MODELS, _problem)


def _problem() -> str:
    """Return the error of the first wrong kernel, or ''."""
    for trial in (_neurons, _signals, _matrices, _networks, _convolutions):
        for computed, expected in trial(np.random.default_rng(0)):
            if not np.array_equal(computed, expected):
                return f"differs from NumPy ({trial.__name__.strip('_')})"
    return ""


def _neurons(rng: np.random.Generator) -> Iterator[_Pair]:
    """Yield states and spikes of neurons with and without memory of u, up to the limits of v."""
    for kept_current in (0, DECAY_UNITY - 100):
        bias, threshold = rng.integers(-900, 900, _CHANNELS), rng.integers(0, 2**16, _CHANNELS)
        kept_voltage = rng.integers(0, DECAY_UNITY + 1, _CHANNELS)
        fields = bias, kept_current, kept_voltage, threshold << ACTIVATION_SHIFT
        table = population_table([(_SIZE, fields)])
        repeated = (np.resize(x, _SIZE) for x in (threshold, DECAY_UNITY - kept_voltage, bias))
        limits, decay, added = repeated
        neuron = LifParameters(limits, decay, DECAY_UNITY - kept_current, added, 0)
        current = rng.integers(-STATE_LIMIT, STATE_LIMIT + 1, _SIZE)
        voltage = rng.integers(-STATE_LIMIT, STATE_LIMIT + 1, _SIZE)
        u, v, spikes = (x.astype(np.int32) for x in (current, voltage, voltage))
        for _ in range(_STEPS):
            arrived = rng.integers(-(2**18), 2**18, _SIZE)
            integrate(arrived.astype(np.int32), u, v, table, spikes)
            current, voltage, fired, _ = lif_step(current, voltage, arrived, neuron)
            yield (u, v, spikes), (current, voltage, fired)


def _signals(rng: np.random.Generator) -> Iterator[_Pair]:
    """Yield relayed, recorded, transposed and scaled signals."""
    values = rng.integers(-(2**30), 2**30, _SIZE).astype(np.int32)
    sent, row = np.zeros_like(values), np.zeros_like(values)
    relay(values, np.zeros_like(values), 2**28, sent)
    yield sent, np.where(np.abs(values) > 2**28, values, 0)
    yield record(values, row), True
    yield row, values
    yield record(values, np.zeros(_SIZE, np.uint8)), False
    matrix = values.reshape(-1, _CHANNELS)
    turned = np.zeros_like(values)
    transpose(values, np.array([(0, *matrix.shape, 0)], PLACE), turned)
    yield turned, matrix.T.ravel()
    sums, added = matrix.copy(), np.ones_like(matrix.T.copy())
    transpose_sums(sums, added)
    yield added, matrix.T + 1
    yield sums, np.zeros_like(sums)
    for exponent in (-3, 1):
        sums, added = values.copy(), np.ones_like(values)
        shift_sums(sums, exponent, added)
        wide = values.astype(np.int64)
        yield added, 1 + (wide << exponent if exponent > 0 else wide >> -exponent)
    sums, added = values.copy(), np.zeros_like(values)
    wrap_sums(sums, added)
    yield added, (values.astype(np.int64) + 2**23) % 2**24 - 2**23


def _matrices(rng: np.random.Generator) -> Iterator[_Pair]:
    """Yield sums of matrices with long and with short runs."""
    for density, graded in ((0.1, False), (0.1, True), (1.0, False), (1.0, True)):
        weight = _weights(rng, _SIDES[::-1]) * (rng.random(_SIDES[::-1]) < density)
        values = _events(rng, _SIDES[:1], graded)
        expected = 7 + weight @ values
        columns = column_table(csr_matrix(weight))
        for kernel, table in (
            (propagate_sparse, columns),
            (propagate_runs, run_table(columns)),
            (propagate_dense, row_table(weight)),
        ):
            sums = np.full(len(weight), 7, np.int32)
            kernel(values, graded, table, sums)
            yield sums, expected


def _networks(rng: np.random.Generator) -> Iterator[_Pair]:
    """Yield the sums of two steps to which a matrix adds with and without delay."""
    weight = _weights(rng, _SIDES[::-1])
    table = run_table(column_table(csr_matrix(weight)))
    values = _events(rng, (2 + _SIDES[0],), False)
    for delay in (0, 1):
        links = np.array([(0, 2, _SIDES[0], delay, False)], LINK)
        arriving = np.zeros((2, _SIDES[1]), np.int32)
        propagate_network(values, links, table, arriving, 5)
        yield arriving[(5 + delay) % 2], weight @ values[2:]
        yield arriving[(6 + delay) % 2], np.zeros(_SIDES[1])


def _convolutions(rng: np.random.Generator) -> Iterator[_Pair]:
    """Yield sums of convolutions for every register width, with groups and dilation."""
    for outputs, groups, dilation in ((5, 1, 1), (40, 1, 1), (70, 1, 1), (4, 2, 2)):
        source = (*_IMAGE[:2], _IMAGE[2] * groups)
        weight = _weights(rng, (outputs * groups, 3, 2, _IMAGE[2]))
        window = (2, 1), (1, 1), (dilation, 1)
        for graded in (False, True):
            values = _events(rng, source, graded)
            expected = _convolved(values, weight, window, groups)
            shapes, sums = (source, expected.shape), np.zeros(expected.shape, np.int32)
            propagate_convolution(
                values, graded, window_table(weight, shapes, window, groups), sums
            )
            yield sums, expected
            table = spike_windows(weight, source, window, groups)
            if table is not None and not graded:
                sums[...] = 3
                sum_windows(values, table, sums)
                yield sums, 3 + expected


def _weights(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.int32]:
    return 2 * rng.integers(-128, 128, shape, np.int32)


def _events(rng: np.random.Generator, shape: tuple[int, ...], graded: bool) -> NDArray[np.int32]:
    values = rng.integers(-999, 1000, shape) if graded else 1
    return np.where(rng.random(shape) < 0.4, values, 0).astype(np.int32)


def _convolved(values: Any, weight: Any, window: Any, groups: int) -> NDArray[np.int64]:
    """Convolve an image ``(H, W, C)``."""
    stride, padding, dilation = window
    kernel = weight.shape[1:3]
    size = tuple(
        (side + 2 * pad - (k - 1) * gap - 1) // step + 1
        for side, pad, k, gap, step in zip(
            values.shape[:2], padding, kernel, dilation, stride, strict=True
        )
    )
    border = [(0, 0), *((pad, pad) for pad in padding)]
    padded = np.pad(values.transpose(2, 0, 1).astype(np.int64), border)
    by_group = weight.reshape(groups, -1, *weight.shape[1:])
    sums = np.zeros((*size, *by_group.shape[:2]), np.int64)
    for row, column, window_inputs in taps(padded, size, kernel, stride, dilation):
        parts = window_inputs.reshape(groups, -1, *size)
        sums += np.einsum("gchw,goc->hwgo", parts, by_group[:, :, row, column])
    return sums.reshape(*size, -1)
