"""Convolution."""

from __future__ import annotations

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv import utils
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv

from sdt_lava.processes.accelerated.prepared import PreparedModel
from sdt_lava.processes.kernels.propagation import propagate_kernels
from sdt_lava.processes.ports import Receiver


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("accelerated")
class PyConvModelAccelerated(PreparedModel, PyConvModelFixed):
    """Event-driven convolution; Lava calls SciPy for each pair of channels."""

    def run_spk(self) -> None:
        """Send the activation, receive events and add up the next one."""
        self.prepare()
        self.a_out.send(self.a_buf)
        messages = self._receive()
        if not self._graded:
            messages = messages.astype(bool)
        elif messages.dtype != np.int32:
            self.a_buf[:] = self.clamp_precision(
                utils.conv(messages, self.weight, self.kernel_size, *self._window, self.groups[0])
            )
            return
        self.a_buf.fill(0)
        self._propagate(np.ascontiguousarray(messages, np.int32), self.a_buf.reshape(-1))

    def _prepare(self) -> None:
        self._receive = Receiver(self.s_in)
        self._graded = bool(self.num_message_bits.item() > 0)
        self._window = (self.stride, self.padding, self.dilation)
        self._propagate = propagate_kernels(
            self.weight[:, ::-1, ::-1],  # Lava's convolution turns kernels around
            (tuple(self.s_in._shape), self.a_buf.shape),
            tuple((int(rows), int(columns)) for rows, columns in self._window),  # type: ignore[arg-type]
            int(self.groups[0]),
            self._graded,
        )
