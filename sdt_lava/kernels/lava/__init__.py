"""Compiled inner loops of the accelerated and the fused ProcessModels.

All of them are single threaded and call no library: in a forked Lava process, thread pools of the
parent (torch's, OpenMP's, BLAS's) do not exist, and a call that waits for one never returns.
Compiled code is kept in ``__pycache__`` (or where ``NUMBA_CACHE_DIR`` says), so that only the first
run ever compiles.
"""

from sdt_lava.kernels.lava.neurons import integrate, record, relay, transpose
from sdt_lava.kernels.lava.synapses import (
    propagate_convolution,
    propagate_dense,
    propagate_network,
    propagate_runs,
    propagate_sparse,
    shift_sums,
    transpose_sums,
    wrap_sums,
)
from sdt_lava.kernels.lava.windows import sum_windows

__all__ = [
    "integrate",
    "propagate_convolution",
    "propagate_dense",
    "propagate_network",
    "propagate_runs",
    "propagate_sparse",
    "record",
    "relay",
    "shift_sums",
    "sum_windows",
    "transpose",
    "transpose_sums",
    "wrap_sums",
]
