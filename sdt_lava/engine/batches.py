"""Choose the batch size of a plan, and inspect inputs before a run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sdt_lava.engine.options import EngineOptions
from sdt_lava.engine.plan.buffers import Run
from sdt_lava.engine.plan.plan import Plan
from sdt_lava.errors import ConfigError
from sdt_lava.ir import Input
from sdt_lava.ir.numerics import IntArray

# Beyond this size, arrays exceed the caches, and larger batches are not faster [bytes].
_CACHE_BYTES = 24 << 20


def batch_size(plan: Plan, samples: int, of: Callable[[int], Run], options: EngineOptions) -> int:
    """Return the number of samples per batch, limited by memory and caches.

    Parameters
    ----------
    plan : Plan
        Plan to run.
    samples : int
        Number of samples of the input.
    of : callable
        Function that returns the sizes of a batch with a given number of samples.
    options : EngineOptions
        Options with the memory limit and possibly a batch size.

    Raises
    ------
    ConfigError
        If the memory limit is too small for the tables of kernels or the arrays of one sample.
    """
    found = f"{options.memory:,} bytes"
    if plan.table_bytes > options.memory:
        allowed = f"{plan.table_bytes:,} for the layers' weights alone"
        raise ConfigError("memory", found, allowed)
    if options.batch_size is not None:
        return options.batch_size
    size = min(samples, of(samples).workers)
    if plan.bytes_needed(of(size)) > options.memory:
        size = 1
    needed = plan.bytes_needed(of(size))
    if needed > options.memory:
        raise ConfigError("memory", found, f"{needed:,} for one sample")
    while size < samples:
        larger = of(min(2 * size, samples))
        leaves_caches = plan.signal_bytes(larger) > _CACHE_BYTES
        if leaves_caches or plan.bytes_needed(larger) > options.memory:
            break
        size = larger.batch
    return size


def holds(entry: Input, values: IntArray) -> bool:
    """Return whether all values are within an input's range."""
    return bool(entry.low <= values.min() and values.max() <= entry.high)


def frame_steps_of(frames: IntArray) -> int:
    """Return 1 if the input is constant over the steps, otherwise the number of steps."""
    first = frames[0]
    if len(frames) == 1 or frames.strides[0] == 0:
        return 1
    # The first sample nearly always shows that steps differ.
    for part in (slice(0, 1), slice(1, None)):
        if not all(np.array_equal(frame[part], first[part]) for frame in frames[1:]):
            return len(frames)
    return 1
