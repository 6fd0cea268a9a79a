"""Define models of the adapters for the CPU and for Intel's extension.

The use of the extension's adapters follows public programs: lava-dl,
``tests/lava/lib/dl/netx/test_hdf5_nx.py`` and its netx tutorials, and lava-nc,
``lava.networks.gradedvecnetwork``.
"""

from __future__ import annotations

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.resources import CPU, Loihi2NeuroCore
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from sdt_lava.backends.lava.processes.adapters.process import InputAdapter, OutputAdapter


class _PassOn(PyLoihiProcessModel):
    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def run_spk(self) -> None:
        """Forward the received values."""
        self.out.send(self.inp.recv())


@implements(proc=InputAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyInputAdapterModel(_PassOn):
    """CPU model of the input adapter, which forwards values."""


@implements(proc=OutputAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyOutputAdapterModel(_PassOn):
    """CPU model of the output adapter, which forwards values."""


@implements(proc=InputAdapter, protocol=LoihiProtocol)
@requires(Loihi2NeuroCore)
class NxInputAdapterModel(AbstractSubProcessModel):
    """Model with the extension's adapter from Python to neuro cores."""

    def __init__(self, proc: InputAdapter) -> None:
        from lava.proc.embedded_io import spike

        size, bits = proc.proc_params["size"], proc.proc_params["message_bits"]
        image = proc.proc_params["image"]
        if image is None:
            self.adapter = spike.PyToNxAdapter(shape=(size,), num_message_bits=bits)
            proc.inp.connect(self.adapter.inp)
            self.adapter.out.connect(proc.out)
        else:
            # Lava's convolutions use (W, H, C).
            shape = tuple(reversed(image))
            self.adapter = spike.PyToN3ConvAdapter(shape=shape, num_message_bits=bits)
            proc.inp.reshape(image).transpose((2, 1, 0)).connect(self.adapter.inp)
            self.adapter.out.transpose((2, 1, 0)).flatten().connect(proc.out)


@implements(proc=OutputAdapter, protocol=LoihiProtocol)
@requires(Loihi2NeuroCore)
class NxOutputAdapterModel(AbstractSubProcessModel):
    """Model with the extension's adapter from neuro cores to Python."""

    def __init__(self, proc: OutputAdapter) -> None:
        from lava.proc.embedded_io import spike

        size, bits = proc.proc_params["size"], proc.proc_params["message_bits"]
        self.adapter = spike.NxToPyAdapter(shape=(size,), num_message_bits=bits)
        proc.inp.connect(self.adapter.inp)
        self.adapter.out.connect(proc.out)
