"""Ports of ProcessModels: as many as a Process has, and without Lava's detours."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import (
    IdentityTransformer,
    PyInPort,
    PyInPortVectorDense,
    PyOutPort,
)
from lava.magma.core.model.py.type import LavaPyType

_INT32 = np.dtype(np.int32)
IN_PORT_PREFIX, OUT_PORT_PREFIX = "in_", "out_"


class PortsOnDemand(type(PyLoihiProcessModel)):  # type: ignore[misc]
    """Declare a port for every attribute ``in_<number>`` or ``out_<number>`` asked of the class.

    Lava wants each port of a Process as a class attribute of its model, but how many there are
    differs from one Process to the next.
    """

    def __getattr__(cls, name: str) -> LavaPyType:
        for prefix, kind in ((IN_PORT_PREFIX, PyInPort), (OUT_PORT_PREFIX, PyOutPort)):
            if name.startswith(prefix) and name[len(prefix) :].isdecimal():
                return LavaPyType(kind.VEC_DENSE, np.int32)
        raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")


class Receiver:
    """Receive what an InPort receives: the sum over its connections.

    Parameters
    ----------
    port : PyInPort
        Port of a ProcessModel, after it was built.

    Notes
    -----
    Lava starts from an array of zeros and adds every message to a new array. Each message is an
    array of its own already, so that the first one can take the sum.
    """

    def __init__(self, port: Any) -> None:
        self._port = port
        # Ports of other kinds, and those that nothing is connected to, are left to Lava.
        self._sources = tuple(port.csp_ports) if type(port) is PyInPortVectorDense else ()
        # What virtual ports on the way do to a message.
        self._transform = port._transformer.transform
        self._is_plain = type(port._transformer) is IdentityTransformer

    def __call__(self) -> Any:
        """Return the sum, in the type that Lava's port would return; it may be transposed."""
        if not self._sources:
            return self._port.recv()
        total = self._message(self._sources[0])
        if total.dtype is not _INT32 and total.dtype != _INT32:
            total = np.zeros(total.shape, self._port._d_type) + total
        if len(self._sources) == 1:
            return total
        for source in self._sources[1:]:
            message = self._message(source)
            if message.dtype == total.dtype:
                total += message
            else:
                total = total + message
        return total

    def _message(self, source: Any) -> Any:
        message = source.recv()
        return message if self._is_plain else self._transform(message, source)
