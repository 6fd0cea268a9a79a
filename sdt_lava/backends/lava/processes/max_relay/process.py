"""Define a relay that forwards the largest current of each window."""

from __future__ import annotations

from math import prod

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess


class MaxRelay(AbstractProcess):
    """Max pooling of currents, which forwards values in the same step, as GradedVec does.

    It serves official networks, which pool before the neuron. It runs only on the CPU, because
    Loihi 2 has no standard process for it.

    Parameters
    ----------
    input_shape, output_shape : tuple of int
        Shapes ``(C, H, W)`` before and after pooling; ports are flat in C order.
    kernel, stride, padding : int
        Kernel size, stride and padding of the square window.
    name : str, optional
        Name of the process.
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
        kernel: int,
        stride: int,
        padding: int,
        name: str | None = None,
    ) -> None:
        super().__init__(
            input_shape=input_shape,
            output_shape=output_shape,
            kernel=kernel,
            stride=stride,
            padding=padding,
            name=name,
        )
        self.a_in = InPort(shape=(prod(input_shape),))
        self.s_out = OutPort(shape=(prod(output_shape),))
