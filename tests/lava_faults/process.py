from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess


class Fault(AbstractProcess):
    """Pass values on and fail in a given way at a given time step (0: while it is built)."""

    def __init__(self, size: int, kind: str = "none", step: int = 1, name: str = "fault") -> None:
        super().__init__(kind=kind, step=step, name=name)
        self.a_in = InPort(shape=(size,))
        self.s_out = OutPort(shape=(size,))


class NoModel(AbstractProcess):
    """A Process that cannot be compiled."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.a_in = InPort(shape=(size,))
