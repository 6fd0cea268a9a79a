"""CPU models that do to payloads what the chip's messages do."""

from __future__ import annotations

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from tests.fake_loihi.adapters.process import NxToPyAdapter, PyToN3ConvAdapter, PyToNxAdapter


class _Model(PyLoihiProcessModel):
    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    signed = True

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.bits = proc_params["num_message_bits"]

    def run_spk(self):
        values = self.inp.recv().astype(np.int32)
        if not self.bits:
            values = (values != 0).astype(np.int32)
        elif self.signed:
            spare = 32 - self.bits
            values = values << spare >> spare
        else:  # the upper bits of the sign are lost
            values = values & ((1 << self.bits) - 1)
        self.out.send(values)


@implements(proc=PyToNxAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyPyToNxModel(_Model):
    pass


@implements(proc=PyToN3ConvAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyPyToN3ConvModel(_Model):
    pass


@implements(proc=NxToPyAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyNxToPyModel(_Model):
    signed = False
