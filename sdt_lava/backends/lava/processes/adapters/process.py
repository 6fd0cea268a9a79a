"""Adapters where events pass from the host to neuro cores, or back.

On the CPU they pass on what they receive, in the same step. On Loihi 2 they are the adapters of
Intel's extension, which are chosen through the run configuration's map of exceptions.
"""

from __future__ import annotations

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess


class InputAdapter(AbstractProcess):
    """From the host to neuro cores.

    Parameters
    ----------
    size : int
        Number of values at each step; ports are flat vectors.
    message_bits : int
        Bits of a payload, 0 for binary spikes.
    image : tuple of int, optional
        ``(C, H, W)`` if convolutions read the events: their axons need an adapter of their own.
    name : str, optional
        Name of the process.
    """

    def __init__(
        self,
        size: int,
        message_bits: int,
        image: tuple[int, ...] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(size=size, message_bits=message_bits, image=image, name=name)
        self.inp = InPort(shape=(size,))
        self.out = OutPort(shape=(size,))


class OutputAdapter(AbstractProcess):
    """From neuro cores to the host.

    Parameters
    ----------
    size : int
        Number of values at each step; ports are flat vectors.
    message_bits : int
        Bits of a payload, 0 for binary spikes. Payloads arrive without their sign's upper bits.
    name : str, optional
        Name of the process.
    """

    def __init__(self, size: int, message_bits: int, name: str | None = None) -> None:
        super().__init__(size=size, message_bits=message_bits, name=name)
        self.inp = InPort(shape=(size,))
        self.out = OutPort(shape=(size,))
