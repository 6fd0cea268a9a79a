"""Compile or load every kernel of the ProcessModels before a network starts."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.sparse import csr_matrix

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


@cache
def warm_up() -> None:
    """Compile the kernels for the types of ProcessModels, or load them from disk.

    Forked processes inherit them; otherwise, each would load them in its first step.
    """
    nothing, image = np.zeros(0, np.int32), np.zeros((1, 1, 1), np.int32)
    integrate(nothing, nothing, nothing, population_table([(0, [0] * 4)]), nothing)
    transpose(nothing, np.zeros(0, PLACE), nothing)
    relay(nothing, nothing, 0, nothing)
    for kind in (np.uint8, np.int32):
        record(nothing, np.zeros(0, kind))
    columns = column_table(csr_matrix((0, 0), dtype=np.int32))
    runs = run_table(columns)
    propagate_sparse(nothing, False, columns, nothing)
    propagate_runs(nothing, False, runs, nothing)
    propagate_network(nothing, np.zeros(0, LINK), runs, np.zeros((1, 0), np.int32), 0)
    propagate_dense(nothing, False, row_table(np.zeros((0, 0), np.int32)), nothing)
    weight, once = np.zeros((1, 1, 1, 1), np.int32), (1, 1)
    window = once, (0, 0), once
    table = window_table(weight, (image.shape, image.shape), window, 1)
    propagate_convolution(image, False, table, image)
    windows = spike_windows(weight, image.shape, window, 1)
    assert windows is not None
    sum_windows(image, windows, image)
    shift_sums(nothing, -1, nothing)
    transpose_sums(image[0], image[0])
    wrap_sums(nothing, nothing)
