"""Processes with the ports and arguments of ``lava.proc.embedded_io.spike``."""

from __future__ import annotations

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess


class _Adapter(AbstractProcess):
    def __init__(self, shape, num_message_bits=0):
        super().__init__(shape=shape, num_message_bits=num_message_bits)
        self.inp = InPort(shape=shape)
        self.out = OutPort(shape=shape)


class PyToNxAdapter(_Adapter):
    """From Python to a core."""


class PyToN3ConvAdapter(_Adapter):
    """From Python to the axons of a convolution, (W, H, C)."""

    def __init__(self, shape, num_message_bits=0):
        assert len(shape) == 3
        super().__init__(shape, num_message_bits)


class NxToPyAdapter(_Adapter):
    """From a core to Python."""
