import os
import signal
import time

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from tests.lava_faults.process import Fault


class StubbornError(Exception):
    """Cannot be unpickled: it wants two arguments, and pickle knows of one."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what} because {why}")


def fail(kind: str) -> None:
    if kind == "raise":
        raise ValueError("a deliberate failure")
    if kind == "stubborn":
        raise StubbornError("it failed", "it was told to")
    if kind == "exit":
        raise SystemExit(0)
    if kind == "vanish":
        os._exit(0)
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hang":
        time.sleep(3600)
    if kind == "alarm":
        os.kill(os.getpid(), signal.SIGALRM)


def parallel_torch() -> None:
    """Let torch's threads add up something."""
    import torch

    values = torch.ones(1000, 1000)
    (values + values).sum()


@implements(proc=Fault, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFaultModel(PyLoihiProcessModel):
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self._kind, self._step = proc_params["kind"], proc_params["step"]
        if self._step == 0:
            fail(self._kind)

    def run_spk(self) -> None:
        is_time = self.time_step == self._step
        if is_time:
            fail(self._kind)
        if self._kind == "slow":
            time.sleep(0.02)
        if self._kind == "torch":
            parallel_torch()
        values = self.a_in.recv()
        if is_time and self._kind == "bloated":
            values = np.append(values, 0)
        if not (is_time and self._kind == "mute"):
            self.s_out.send(values)
        for _ in range(2 if is_time and self._kind == "chatty" else 0):
            self.s_out.send(values)
        if self._kind == "reuse":
            values[:] = -1
