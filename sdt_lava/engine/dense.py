"""Dense operators: every input is multiplied, whether it spikes or not.

oneDNN's operators on 8-bit integers are inside torch and sum exactly in 32 bits; they return
float32, exact below 2^24. Where that is not enough, the same sums are made in float32 (below 2^24)
or float64 (below 2^53) by a convolution or a matrix product, or by loops of our own on integers.

Each `obstacle` says for which layers an operator is exact by design. Whether a library's operator
keeps that promise is found out by `exact`, on inputs of every shape before the first real one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sdt_lava.engine.layout import INT32
from sdt_lava.engine.synapses import Weights
from sdt_lava.ir.numerics import FLOAT32_EXACT, FLOAT64_EXACT
from sdt_lava.kernels.convolutions import Strides, add_up
from sdt_lava.support.allocation import placed, zeros

_LARGEST_BYTE = 255
CPU = torch.device("cpu")


class DenseKernel(ABC):
    """Sums of one layer.

    Parameters
    ----------
    weights : Weights
        The layer's.
    device : torch.device
        Where events and sums are.
    """

    name: ClassVar[str]
    # Type of the input that it wants.
    events: ClassVar[torch.dtype]

    def __init__(self, weights: Weights, device: torch.device = CPU) -> None:
        self.weights, self.window, self.device = weights, weights.window, device

    @classmethod
    @abstractmethod
    def obstacle(cls, weights: Weights) -> str:
        """Return why the operator would not be exact or available for a layer; '' if it is."""

    def bring(self, events: Tensor) -> Tensor:
        """Return events in the type and the order in memory that `sums` wants.

        Strides follow from the shape, also those of axes with one element, from which torch
        concludes the order.
        """
        return _channels_last(events.to(self.events))

    @abstractmethod
    def sums(self, events: Tensor) -> Tensor:
        """Return the sums of mantissas.

        Parameters
        ----------
        events : Tensor
            ``(N, C, rows, columns)`` from `bring`, the border included.

        Returns
        -------
        Tensor
            ``(N, O, H', W')`` in any order, of a type that holds the sums exactly.
        """

    def output_shape(self, events: Tensor) -> tuple[int, int, int, int]:
        """Return the shape of the sums."""
        sides = zip(events.shape[2:], self.window.reach, self.window.stride, strict=True)
        height, width = ((side - reach) // stride + 1 for side, reach, stride in sides)
        return len(events), len(self.weights.mantissa), height, width


class OneDnn(DenseKernel):
    """u8 x s8 -> int32 in oneDNN, returned as float32."""

    name = "onednn"
    events = torch.uint8

    def __init__(self, weights: Weights, device: torch.device = CPU) -> None:
        super().__init__(weights, device)
        window = self.window
        weight = torch.from_numpy(weights.mantissa.astype(np.int8))
        # Whatever the defaults of torch are in the user's program.
        self._ones = torch.ones(len(weight), dtype=torch.float32, device=CPU)
        self._zeros = torch.zeros(len(weight), dtype=torch.int32, device=CPU)
        self._geometry = [list(window.stride), [0, 0], list(window.dilation), window.groups]
        if window.is_pointwise:
            self._weight = torch.ops.onednn.qlinear_prepack(weight.flatten(1), None)
        else:
            self._weight = torch.ops.onednn.qconv_prepack(
                weight, self._ones, 1.0, 0, *self._geometry, None
            )

    @classmethod
    def obstacle(cls, weights: Weights) -> str:
        """Return why the operators of oneDNN cannot be used."""
        if not torch.backends.mkldnn.is_available() or not hasattr(
            torch.ops.onednn, "qconv_prepack"
        ):
            return "this torch has no 8-bit operators"
        if not weights.fits_int8:
            return "weights do not fit 8 bits"
        low, high = weights.events
        if low < 0 or high > _LARGEST_BYTE:
            return f"events of {low} to {high} do not fit 8 bits without a sign"
        return _beyond(weights, FLOAT32_EXACT, "float32")

    def sums(self, events: Tensor) -> Tensor:
        """Return the sums as float32."""
        if self.window.is_pointwise:
            images, channels, rows, columns = events.shape
            flat = events.permute(0, 2, 3, 1).reshape(-1, channels)
            out = torch.ops.onednn.qlinear_pointwise(
                flat, 1.0, 0, self._weight, self._ones, self._zeros, None, 1.0, 0, torch.float32,
                "none", [], "",
            )  # fmt: skip
            return out.reshape(images, rows, columns, -1).permute(0, 3, 1, 2)
        return torch.ops.onednn.qconv2d_pointwise(
            events, 1.0, 0, self._weight, self._ones, self._zeros, None, *self._geometry, 1.0, 0,
            torch.float32, "none", [], "",
        )  # fmt: skip


class Float32(DenseKernel):
    """A convolution in float32, exact while no part of a sum reaches 2^24."""

    name = "float32"
    events = torch.float32
    _exact = FLOAT32_EXACT

    def __init__(self, weights: Weights, device: torch.device = CPU) -> None:
        super().__init__(weights, device)
        self._weight = _channels_last(_on(device, weights.mantissa, self.events))

    @classmethod
    def obstacle(cls, weights: Weights) -> str:
        """Return whether sums may become too large."""
        return _beyond(weights, cls._exact, str(cls.events).removeprefix("torch."))

    def sums(self, events: Tensor) -> Tensor:
        """Return the sums."""
        window = self.window
        if window.is_pointwise:
            flat = events.permute(0, 2, 3, 1)
            return functional.linear(flat, self._weight.flatten(1)).permute(0, 3, 1, 2)
        return functional.conv2d(
            events, self._weight, None, window.stride, 0, window.dilation, window.groups
        )


class Float64(Float32):
    """A convolution in float64, exact while no part of a sum reaches 2^53."""

    name = "float64"
    events = torch.float64
    _exact = FLOAT64_EXACT


class Matmul32(Float32):
    """One matrix product for each group in float32: sums in any order, and nothing but sums.

    Libraries may convolve in other ways (Winograd, FFT), which round.
    """

    name = "matmul32"

    def __init__(self, weights: Weights, device: torch.device = CPU) -> None:
        super().__init__(weights, device)
        groups = self.window.groups
        flat = _on(device, weights.mantissa, self.events).contiguous()
        self._weight: Tensor = flat.reshape(groups, len(flat) // groups, -1)

    def bring(self, events: Tensor) -> Tensor:
        """Return events in C order."""
        return _plain(events.to(self.events))

    def sums(self, events: Tensor) -> Tensor:
        """Return the sums."""
        window = self.window
        columns = functional.unfold(
            events, window.kernel, dilation=window.dilation, stride=window.stride
        )
        parts = columns.reshape(len(events), window.groups, self._weight.shape[-1], -1)
        return torch.matmul(self._weight, parts).reshape(self.output_shape(events))


class Matmul64(Matmul32):
    """The same in float64."""

    name = "matmul64"
    events = torch.float64
    _exact = FLOAT64_EXACT


class Loops(DenseKernel):
    """Loops on integers of 32 bits, or of 64 where sums need them: no library takes part."""

    name = "loops"
    events = torch.int64

    def __init__(self, weights: Weights, device: torch.device = CPU) -> None:
        super().__init__(weights, device)
        kind: type = np.int32 if weights.bound < INT32 else np.int64
        if weights.mantissa.dtype.kind == "f":
            kind = np.float64
        self._weight: np.ndarray = np.ascontiguousarray(
            weights.mantissa.transpose(2, 3, 1, 0), kind
        )
        self._geometry = Strides(*self.window.stride, *self.window.dilation, self.window.groups)

    @classmethod
    def obstacle(cls, weights: Weights) -> str:
        """Return '': there is none."""
        return ""

    def bring(self, events: Tensor) -> Tensor:
        """Return events with channels last, in the type of the sums, where the processor is."""
        kind = torch.from_numpy(np.empty(0, self._weight.dtype)).dtype
        return _channels_last(events.to(CPU, kind))

    def sums(self, events: Tensor) -> Tensor:
        """Return the sums as int32, or int64."""
        images, outputs, height, width = self.output_shape(events)
        sums = zeros((images, height, width, outputs), self._weight.dtype)
        rows_first = placed(np.ascontiguousarray(events.permute(0, 2, 3, 1).numpy()))
        add_up(rows_first, self._weight, self._geometry, sums)
        return torch.from_numpy(sums).permute(0, 3, 1, 2).to(self.device)


def _on(device: torch.device, values: np.ndarray, kind: torch.dtype) -> Tensor:
    return torch.from_numpy(np.require(values, requirements=("C", "W"))).to(device, kind)


def _plain(values: Tensor) -> Tensor:
    """Return values in C order, with the strides of C order for axes of one element, too."""
    _, channels, height, width = values.shape
    strides = channels * height * width, height * width, width, 1
    return values.contiguous().as_strided(values.shape, strides)


def _channels_last(values: Tensor) -> Tensor:
    """Return values with channels last in memory.

    One channel is last and first, and torch looks at its stride: some of oneDNN's convolutions of
    torch 2.3.1 (stride (1, s), one output column) then confuse both orders, and the sums are
    whatever was in memory. In C order they do not.
    """
    _, channels, height, width = values.shape
    if channels == 1:
        return _plain(values)
    strides = height * width * channels, 1, width * channels, channels
    return values.contiguous(memory_format=torch.channels_last).as_strided(values.shape, strides)


def _beyond(weights: Weights, limit: int, kind: str) -> str:
    bound = weights.bound
    return "" if bound < limit else f"sums of up to {bound} are not exact in {kind}"


# The fastest first; the names are those of `sdt_lava.engine.options.DENSE_KERNELS`.
DENSE_KERNELS: dict[str, type[DenseKernel]] = {
    kernel.name: kernel for kernel in (OneDnn, Float32, Matmul32, Float64, Matmul64, Loops)
}
