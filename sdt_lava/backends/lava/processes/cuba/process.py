"""Neurons with recurrence, axonal delays and a shifted drive."""

from __future__ import annotations

from math import prod

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess

from sdt_lava.ir.cuba_steps import CubaParameters


class CubaLif(AbstractProcess):
    """A population whose spikes come back to it or leave later, reset like a LIFReset.

    Lava's standard processes, LIFReset with a Dense back to itself and DelayDense, keep spikes on
    their way when they reset the neurons, and deliver them to the next sample; and neurons with a
    bias spike before the first sample arrives. Here the reset also clears these spikes, which
    Loihi 2 cannot do while it runs.

    Parameters
    ----------
    parameters : CubaParameters
        Arrays broadcast to `shape`.
    shape : tuple of int
        Shape of the population; the ports are flat, in C order.
    reset_interval, reset_offset : int
        As of LIFReset.
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
