"""Recorded spikes as the engine packs them, unpacked when somebody looks at them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sdt_lava.simulate.engine.plan.plan import Output


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
            parts = [output.unpack() for output in self._packed[name]]
            joined = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
            self._unpacked[name] = joined.astype(np.uint8, copy=False)
            self._packed[name] = []
        return self._unpacked[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._packed)})"
