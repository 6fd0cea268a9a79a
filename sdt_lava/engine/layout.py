"""Define how compiled plans store signals: image rows outermost, channels innermost.

Spikes are bits, ``(B * H, T, W, words)``; currents are int32, ``(B * H, T, W, 64 * words)``, padded
with zeros. A range of rows over all time steps is then one contiguous piece of memory, which one
thread computes completely. Vectors are images of one pixel. The interpreter and the results use
``(T, B, *shape)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.ir import Shape
from sdt_lava.ir.numerics import IntArray

# Channels in a word of spikes; kernels.words has the same constant and compiles numba.
LANES = 64

# Currents are stored in 32 bits.
INT32 = 2**31

Words = NDArray[np.uint64]
Currents = NDArray[np.int32]


@dataclass(frozen=True)
class Layout:
    """Shape of a signal as an image."""

    channels: int
    height: int
    width: int
    shape: Shape

    @classmethod
    def of(cls, shape: Shape) -> Layout | None:
        """Return the layout of a signal ``(C,)`` or ``(C, H, W)``, or None for other shapes."""
        if len(shape) == 1:
            return cls(shape[0], 1, 1, shape)
        return cls(*shape, shape) if len(shape) == 3 else None

    @property
    def words(self) -> int:
        """Number of words for the channels of one position."""
        return -(-self.channels // LANES)

    @property
    def padded(self) -> int:
        """Number of channels, padded to words."""
        return LANES * self.words

    def spike_shape(self, batch: int, steps: int) -> tuple[int, ...]:
        """Return the shape of packed spikes."""
        return batch * self.height, steps, self.width, self.words

    def current_shape(self, batch: int, steps: int) -> tuple[int, ...]:
        """Return the shape of stored currents."""
        return batch * self.height, steps, self.width, self.padded


def rows_first(values: np.ndarray, layout: Layout) -> np.ndarray:
    """Return a view of ``(T, B, *shape)`` as ``(B, H, T, W, C)``."""
    steps, batch = values.shape[:2]
    image = values.reshape(steps, batch, layout.channels, layout.height, layout.width)
    return image.transpose(1, 3, 0, 4, 2)


def time_first(rows: np.ndarray, layout: Layout, batch: int) -> np.ndarray:
    """Invert :func:`rows_first` for ``(B * H, T, W, channels or more)``."""
    _, steps, width, channels = rows.shape
    image = rows.reshape(batch, layout.height, steps, width, channels)[..., : layout.channels]
    return image.transpose(2, 0, 4, 1, 3).reshape(steps, batch, *layout.shape)


def pack_spikes(spikes: np.ndarray, layout: Layout, packed: Words) -> None:
    """Pack spikes ``(T, B, *shape)``."""
    rows = rows_first(spikes, layout)
    bits = np.zeros((*rows.shape[:-1], layout.padded), np.uint8)
    bits[..., : layout.channels] = rows
    packed[...] = np.packbits(bits, axis=-1, bitorder="little").view("<u8").reshape(packed.shape)


def unpack_spikes(
    packed: NDArray[np.unsignedinteger[Any]], layout: Layout, batch: int
) -> NDArray[np.uint8]:
    """Unpack spikes ``(T, B, *shape)`` from words or one narrower integer per position."""
    little = packed.dtype.newbyteorder("<")
    as_bytes = np.ascontiguousarray(packed).astype(little, copy=False).view(np.uint8)
    bits = np.unpackbits(as_bytes, axis=-1, count=layout.channels, bitorder="little")
    return np.ascontiguousarray(time_first(bits, layout, batch))


def store_currents(values: np.ndarray, layout: Layout, stored: Currents) -> None:
    """Store currents ``(T, B, *shape)`` in the layout."""
    rows = rows_first(values, layout)
    image = stored.reshape(*rows.shape[:-1], layout.padded)
    image[..., : layout.channels] = rows
    image[..., layout.channels :] = 0


def load_currents(stored: Currents, layout: Layout, batch: int) -> IntArray:
    """Return stored currents as ``(T, B, *shape)``."""
    return np.ascontiguousarray(time_first(stored, layout, batch), dtype=np.int64)
