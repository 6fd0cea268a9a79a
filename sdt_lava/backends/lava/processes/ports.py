"""Provide ports of ProcessModels on demand, and fast receiving from them."""

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
    """Metaclass that declares a port for every attribute ``in_<number>`` or ``out_<number>``.

    Lava requires each port of a Process as a class attribute of its model, but the number of ports
    differs between Processes.
    """

    def __getattr__(cls, name: str) -> LavaPyType:
        for prefix, kind in ((IN_PORT_PREFIX, PyInPort), (OUT_PORT_PREFIX, PyOutPort)):
            if name.startswith(prefix) and name[len(prefix) :].isdecimal():
                return LavaPyType(kind.VEC_DENSE, np.int32)
        raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")


class Receiver:
    """Function that receives the sum over the connections of an InPort.

    Parameters
    ----------
    port : PyInPort
        Port of a built ProcessModel.

    Notes
    -----
    Lava starts with an array of zeros and creates a new array for each message that it adds. Since
    each message is already a separate array, the first one can hold the sum.
    """

    def __init__(self, port: Any) -> None:
        self._port = port
        # Lava handles ports of other kinds and unconnected ports.
        self._sources = tuple(port.csp_ports) if type(port) is PyInPortVectorDense else ()
        # Transformation of messages by virtual ports.
        self._transform = port._transformer.transform
        self._is_plain = type(port._transformer) is IdentityTransformer

    def __call__(self) -> Any:
        """Return the sum in the type that Lava's port would return; it may be transposed."""
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
