"""Describe the targets of a layer's sums: a stream, a current buffer, neurons and spikes."""

from __future__ import annotations

from dataclasses import dataclass

from sdt_lava.engine.layout import Layout
from sdt_lava.engine.plan.buffers import Buffer, Reading, same_rows
from sdt_lava.engine.plan.neurons import Neurons
from sdt_lava.kernels.words import HALF


@dataclass(frozen=True)
class Targets:
    """Targets of a layer's currents.

    Parameters
    ----------
    layout : Layout
        Layout of the currents.
    stream : Buffer or None
        Currents to add, as in a membrane shortcut.
    current : Buffer or None
        Buffer for the sum, if other nodes read it.
    spikes : Buffer or None
        Buffer for the spikes of the neurons.
    neurons : Neurons or None
        Neurons that read the sum.
    """

    layout: Layout
    stream: Buffer | None = None
    current: Buffer | None = None
    spikes: Buffer | None = None
    neurons: Neurons | None = None

    def readings(self) -> list[Reading]:
        """Return the readings other than the layer's input."""
        return [Reading(self.stream, same_rows)] if self.stream else []

    def writings(self) -> list[Buffer]:
        """Return the buffers that are written."""
        return [buffer for buffer in (self.current, self.spikes) if buffer]

    @property
    def populations(self) -> tuple[str, ...]:
        """Names of the neurons."""
        return self.neurons.names if self.neurons else ()

    @property
    def in_place(self) -> tuple[Buffer, Buffer] | None:
        """Streams before and after the sum, which may share memory."""
        return (self.stream, self.current) if self.stream and self.current else None

    @property
    def halves(self) -> int:
        """Number of half words of channels to compute, which are all if currents are stored."""
        words = 2 * self.layout.words
        return words if self.current else min(words, -(-self.layout.channels // HALF))
