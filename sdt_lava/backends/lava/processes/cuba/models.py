"""Define the CPU model of recurrent and delayed neurons."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from sdt_lava.backends.lava.processes.cuba.process import CubaLif
from sdt_lava.ir.cuba_steps import CubaPopulation


@implements(proc=CubaLif, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyCubaLifModel(PyLoihiProcessModel):
    """CPU model that integrates currents and sends spikes after their delay."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._batch = (1, *proc_params["shape"])
        self._population = CubaPopulation(proc_params["parameters"], self._batch)
        self._interval = proc_params["reset_interval"]
        self._offset = proc_params["reset_offset"]

    def run_spk(self) -> None:
        """Receive currents, advance by one step and send spikes."""
        activation = self.a_in.recv().reshape(self._batch).astype(np.int64)
        if self.time_step % self._interval == self._offset:
            self._population.reset()
        sent, _, _ = self._population.step(activation)
        self.s_out.send(sent.ravel().astype(np.int32))
