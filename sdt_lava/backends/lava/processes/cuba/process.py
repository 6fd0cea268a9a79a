"""Define neurons with recurrence, axonal delays and a shifted drive."""

from __future__ import annotations

from math import prod

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess

from sdt_lava.ir.cuba_steps import CubaParameters


class CubaLif(AbstractProcess):
    """A population with recurrent or delayed spikes and the reset of a LIFReset.

    With Lava's standard processes, LIFReset with a recurrent Dense and DelayDense, a reset of the
    neurons keeps spikes in transit and delivers them to the next sample. In addition, neurons with
    a bias spike before the first sample arrives. Here, the reset also clears these spikes, which
    Loihi 2 cannot do while it runs.

    Parameters
    ----------
    parameters : CubaParameters
        Parameters, with arrays that broadcast to `shape`.
    shape : tuple of int
        Shape of the population; ports are flat in C order.
    reset_interval, reset_offset : int
        Interval and offset of resets, as for LIFReset.
    name : str, optional
        Name of the process.
    """

    def __init__(
        self,
        *,
        parameters: CubaParameters,
        shape: tuple[int, ...],
        reset_interval: int,
        reset_offset: int,
        name: str | None = None,
    ) -> None:
        super().__init__(
            parameters=parameters,
            shape=shape,
            reset_interval=reset_interval,
            reset_offset=reset_offset,
            name=name,
        )
        self.a_in = InPort(shape=(prod(shape),))
        self.s_out = OutPort(shape=(prod(shape),))
