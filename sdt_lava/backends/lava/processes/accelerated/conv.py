"""Accelerate the model of Conv."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv import utils
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv

from sdt_lava.backends.lava.processes.accelerated.prepared import PreparedModel
from sdt_lava.backends.lava.processes.ports import Receiver
from sdt_lava.backends.lava.processes.propagation import Propagate, propagate_kernels
from sdt_lava.kernels.signals import PLACE, transpose
from sdt_lava.support.allocation import placed, zeros


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("accelerated")
class PyConvModelAccelerated(PreparedModel, PyConvModelFixed):
    """Event-driven model of Conv; Lava's calls SciPy for each pair of channels.

    Lava's images have the shape ``(W, H, C)``. If spikes arrive as a transposed ``(C, H, W)``
    array, the sums are stored in the same order, so that transposing them back needs no copy.
    """

    def run_spk(self) -> None:
        """Send the activation, receive events and compute the next activation."""
        self.prepare()
        self.a_out.send(self.a_buf)
        messages = self._receive()
        if messages.dtype != np.int32:
            if self._graded:
                self.a_buf[:] = self.clamp_precision(
                    utils.conv(
                        messages, self.weight, self.kernel_size, *self._window, self.groups[0]
                    )
                )
                return
            messages = messages.astype(bool).astype(np.int32)
        flags = messages.flags
        is_transposed = not (self._graded or flags.c_contiguous) and flags.f_contiguous
        if is_transposed is not self._is_turned:
            self._arrange(is_transposed)
        self._add_up(messages)

    def _prepare(self) -> None:
        self._receive = Receiver(self.s_in)
        self._graded = bool(self.num_message_bits.item() > 0)
        self._window = (self.stride, self.padding, self.dilation)
        self._is_turned: bool | None = None

    def _arrange(self, turned: bool) -> None:
        """Prepare for messages in one of two memory orders."""
        self._is_turned = turned
        # Bypass Lava's __setattr__, which would treat this as a variable set from outside.
        self.__dict__["a_buf"] = placed(np.array(self.a_buf, order="F" if turned else "C"))
        self._add_up = self._turned() if turned else self._straight()

    def _straight(self) -> Callable[[Any], None]:
        propagate = self._propagate_function((0, 1, 2))
        sums = self.a_buf.reshape(-1)

        def add_up(messages: Any) -> None:
            sums.fill(0)
            propagate(np.ascontiguousarray(messages), sums)

        return add_up

    def _turned(self) -> Callable[[Any], None]:
        propagate = self._propagate_function((1, 0, 2))
        result = self.a_buf.T.reshape(-1)
        image, sums = zeros(self.s_in._shape, np.int32).reshape(-1), zeros(result.shape, np.int32)
        channels, outputs = self.s_in._shape[2], self.a_buf.shape[2]
        entry = np.array([(0, channels, image.size // channels, 0)], PLACE)
        exit_ = np.array([(0, sums.size // outputs, outputs, 0)], PLACE)

        def add_up(messages: Any) -> None:
            transpose(messages.T.reshape(-1), entry, image)
            sums.fill(0)
            propagate(image, sums)
            transpose(sums, exit_, result)

        return add_up

    def _propagate_function(self, axes: tuple[int, int, int]) -> Propagate:
        """Return the function for images with a given order of axes, channels last."""
        first, second, _ = axes
        weight = self.weight[:, ::-1, ::-1]  # Lava's convolution flips kernels
        shapes = tuple(self.s_in._shape), self.a_buf.shape
        return propagate_kernels(
            weight.transpose(0, first + 1, second + 1, 3),
            tuple(tuple(shape[axis] for axis in axes) for shape in shapes),  # type: ignore[arg-type]
            tuple((int(pair[first]), int(pair[second])) for pair in self._window),  # type: ignore[arg-type]
            int(self.groups[0]),
            self._graded,
        )
