"""Spikes as the engine packs them, unpacked when somebody looks at them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.ir.numerics import IntArray

if TYPE_CHECKING:
    from sdt_lava.engine.plan.plan import Output


class PackedSpikes(Mapping[str, NDArray[np.uint8]]):
    """Spikes ``(T, B, *shape)`` by the name of their neurons.

    An array is made at the first access and kept.

    Parameters
    ----------
    names : sequence of str
        Neurons, in the order of the network.
    batches : sequence of mapping of str to Output
        What they sent, batch after batch.
    """

    def __init__(self, names: Sequence[str], batches: Sequence[Mapping[str, Output]]) -> None:
        self._packed = {name: [batch[name] for batch in batches] for name in names}
        self._unpacked: dict[str, NDArray[np.uint8]] = {}

    def __getitem__(self, name: str) -> NDArray[np.uint8]:
        if name not in self._unpacked:
            self._unpacked[name] = _joined(self._packed[name]).astype(np.uint8, copy=False)
            self._packed[name] = []
        return self._unpacked[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._packed)})"


class PackedFrames:
    """The input of a run, as it was packed.

    Parameters
    ----------
    batches : sequence of Output
        Batch after batch.
    """

    def __init__(self, batches: Sequence[Output]) -> None:
        self._batches = batches

    def unpack(self) -> IntArray:
        """Return ``(T, B, *shape)``."""
        return _joined(self._batches).astype(np.int64)


def _joined(batches: Sequence[Output]) -> NDArray[Any]:
    parts = [output.unpack() for output in batches]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
