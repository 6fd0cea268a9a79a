"""Have every kernel ready before a network starts."""

from __future__ import annotations

from functools import cache

import numpy as np

from sdt_lava.kernels.matrices import (
    propagate_convolution,
    propagate_dense,
    propagate_network,
    propagate_runs,
    propagate_sparse,
    shift_sums,
    transpose_sums,
    wrap_sums,
)
from sdt_lava.kernels.populations import (
    integrate,
    lif_arrays,
    record,
    relay,
    transpose,
)
from sdt_lava.kernels.spike_windows import spike_windows, sum_windows


@cache
def warm_up() -> None:
    """Compile the kernels, or load them from disk, for the types that ProcessModels use.

    Forked processes inherit them; otherwise each would load them for itself in its first step.
    """
    nothing = np.zeros(0, np.int32)
    image = np.zeros((1, 1, 1), np.int32)
    small = np.zeros(0, np.int16)
    columns, rows, offsets = np.zeros(1, np.int64), np.zeros(0, np.uint32), np.zeros(1, np.uint64)
    integrate(nothing, nothing, nothing, *lif_arrays([(0, [0] * 4)]), nothing)
    transpose(nothing, np.zeros((0, 4), np.int64), nothing)
    relay(nothing, nothing, 0, nothing)
    for kind in (np.uint8, np.int32):
        record(nothing, np.zeros(0, kind))
    propagate_sparse(nothing, False, columns, rows, nothing, nothing)
    propagate_dense(nothing, False, np.zeros((0, 0), np.int16), nothing)
    runs = columns, offsets[:0], offsets, small
    propagate_runs(nothing, False, *runs, nothing)
    links = np.zeros((0, 5), np.int64)
    propagate_network(nothing, links, *runs, np.zeros((1, 0), np.int32), 0)
    kernel, rows, columns = (
        np.zeros((1, 1, 1, 1), np.int32),
        *(np.full((1, 1, width), -1) for width in (2, 3)),
    )
    propagate_convolution(image, False, kernel, rows, columns, image)
    weight, once = np.zeros((1, 1, 1, 1), np.int32), (1, 1)
    windows = spike_windows(weight, image.shape, (once, (0, 0), once), 1)
    assert windows is not None
    sum_windows(image, *windows, image)
    shift_sums(nothing, -1, nothing)
    transpose_sums(image[0], image[0])
    wrap_sums(nothing, nothing)
