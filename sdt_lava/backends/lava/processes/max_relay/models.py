"""Define the CPU model of the max relay."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from numpy.lib.stride_tricks import sliding_window_view

from sdt_lava.backends.lava.processes.max_relay.process import MaxRelay

# Below every current, so that padding is never the maximum.
_BELOW_ALL = np.iinfo(np.int32).min


@implements(proc=MaxRelay, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyMaxRelayModel(PyLoihiProcessModel):
    """CPU model that sends the maximum of every window."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._shape = proc_params["input_shape"]
        self._window = (proc_params["kernel"], proc_params["kernel"])
        self._stride = proc_params["stride"]
        self._padding = proc_params["padding"]

    def run_spk(self) -> None:
        """Receive currents and send the maximum of each window."""
        border = [(0, 0), (self._padding, self._padding), (self._padding, self._padding)]
        image = np.pad(self.a_in.recv().reshape(self._shape), border, constant_values=_BELOW_ALL)
        windows = sliding_window_view(image, self._window, axis=(1, 2))  # type: ignore[call-overload]
        strided = windows[:, :: self._stride, :: self._stride]
        self.s_out.send(strided.max(axis=(3, 4)).ravel().astype(np.int32))
