"""Where a layer's sums go: into a stream, a buffer of currents, neurons and their spikes."""

from __future__ import annotations

from dataclasses import dataclass

from sdt_lava.engine.layout import Layout
from sdt_lava.engine.plan.buffers import Buffer, Reading, same_rows
from sdt_lava.engine.plan.neurons import Neurons
from sdt_lava.kernels.words import HALF


@dataclass(frozen=True)
class Targets:
    """What becomes of a layer's currents.

    Parameters
    ----------
    layout : Layout
        Their shape.
    stream : Buffer or None
        Currents that are added: the membrane shortcut.
    current : Buffer or None
        Where the sum is stored, if somebody else reads it.
    spikes : Buffer or None
        Where the neurons' spikes go.
    neurons : Neurons or None
        The neurons.
    """

    layout: Layout
    stream: Buffer | None = None
    current: Buffer | None = None
    spikes: Buffer | None = None
    neurons: Neurons | None = None

    def readings(self) -> list[Reading]:
        """Return what is read besides the layer's input."""
        return [Reading(self.stream, same_rows)] if self.stream else []

    def writings(self) -> list[Buffer]:
        """Return what is written."""
        return [buffer for buffer in (self.current, self.spikes) if buffer]

    @property
    def populations(self) -> tuple[str, ...]:
        """Names of the neurons."""
        return self.neurons.names if self.neurons else ()

    @property
    def in_place(self) -> tuple[Buffer, Buffer] | None:
        """The stream before and after, which may share memory."""
        return (self.stream, self.current) if self.stream and self.current else None

    @property
    def halves(self) -> int:
        """Half words of channels that are computed: all of them where currents are stored."""
        words = 2 * self.layout.words
        return words if self.current else min(words, -(-self.layout.channels // HALF))
