"""Arrays of equal values that lie in memory in every way that NumPy allows."""

from __future__ import annotations

from collections.abc import Callable
from tempfile import TemporaryFile

import numpy as np

from sdt_lava.support.allocation import GUARDS, guarded_empty

# What lies between the values: no number that a result could hide.
_FILL = 0xCD


def in_records(values: np.ndarray) -> np.ndarray:
    """Return a field of packed records: not aligned, and no whole number of items apart."""
    kind = np.dtype([("before", "u1"), ("value", values.dtype), ("after", "u1", 4)])
    records = np.full(values.size * kind.itemsize, _FILL, np.uint8).view(kind)
    records = records.reshape(values.shape)
    records["value"] = values
    return records["value"]


def with_gaps(values: np.ndarray) -> np.ndarray:
    """Return rows with a gap of part of an item behind each."""
    row = values.shape[-1] * values.itemsize + max(values.itemsize // 2, 1)
    rows = np.cumprod((1, *values.shape[-2:0:-1]))[::-1]
    memory = np.full(row * values.size, _FILL, np.uint8)
    strides = (*(row * int(count) for count in rows), values.itemsize)
    view = np.ndarray(values.shape, values.dtype, memory, 0, strides)
    view[...] = values
    return view


def misaligned(values: np.ndarray) -> np.ndarray:
    """Return an array that begins at an odd address."""
    memory = np.full(values.nbytes + 1, _FILL, np.uint8)
    view = memory[1:].view(values.dtype).reshape(values.shape)
    view[...] = values
    return view


def backwards(values: np.ndarray) -> np.ndarray:
    """Return an array that is stored from its last value to its first."""
    turned = (slice(None, None, -1),) * values.ndim
    return values[turned].copy()[turned]


def spread_out(values: np.ndarray) -> np.ndarray:
    """Return every third value of a larger array."""
    larger = np.full((*values.shape, 3), 77, values.dtype)
    larger[..., 1] = values
    return larger[..., 1]


def channels_last(values: np.ndarray) -> np.ndarray:
    """Return an array whose last axis is not the one of neighbours."""
    order = (0, *range(2, values.ndim), 1)
    return values.transpose(order).copy().transpose(np.argsort(order))


def read_only(values: np.ndarray) -> np.ndarray:
    """Return an array that may not be written to."""
    made = values.copy()
    made.flags.writeable = False
    return made


def mapped(values: np.ndarray) -> np.ndarray:
    """Return a file that is mapped to memory, from an odd place on."""
    with TemporaryFile() as file:
        file.write(bytes([_FILL]) + values.tobytes())
        file.flush()
        return np.memmap(file, values.dtype, "r", 1, values.shape)


def at_guard(side: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return what puts values between guards."""

    def make(values: np.ndarray) -> np.ndarray:
        made = guarded_empty(values.shape, values.dtype, side)
        made[...] = values
        return made

    return make


FORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "plain": np.copy,
    "records": in_records,
    "gaps": with_gaps,
    "misaligned": misaligned,
    "backwards": backwards,
    "spread out": spread_out,
    "channels last": channels_last,
    "Fortran": np.asfortranarray,
    "foreign order": lambda values: values.astype(values.dtype.newbyteorder()),
    "read-only": read_only,
    "mapped": mapped,
    **{f"guard at the {side}": at_guard(side) for side in GUARDS},
}
