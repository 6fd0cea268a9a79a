"""Define adapters through which events pass from the host to neuro cores or back.

On the CPU, they forward values in the same step. On Loihi 2, they are the adapters of Intel's
extension, which the run configuration's map of exceptions selects.
"""

from __future__ import annotations

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess


class InputAdapter(AbstractProcess):
    """Adapter from the host to neuro cores.

    Parameters
    ----------
    size : int
        Number of values per step; ports are flat vectors.
    message_bits : int
        Bits of a payload; 0 for binary spikes.
    image : tuple of int, optional
        Shape ``(C, H, W)`` if convolutions read the events, since their axons need a special
        adapter.
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
    """Adapter from neuro cores to the host.

    Parameters
    ----------
    size : int
        Number of values per step; ports are flat vectors.
    message_bits : int
        Bits of a payload; 0 for binary spikes. Payloads arrive without sign extension.
    name : str, optional
        Name of the process.
    """

    def __init__(self, size: int, message_bits: int, name: str | None = None) -> None:
        super().__init__(size=size, message_bits=message_bits, name=name)
        self.inp = InPort(shape=(size,))
        self.out = OutPort(shape=(size,))
