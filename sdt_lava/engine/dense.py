"""Compute sums with dense operators, which multiply every input even without a spike.

The 8-bit integer operators of oneDNN in torch sum exactly in 32 bits and return float32, which is
exact below 2^24. Alternatives are convolutions or matrix products in float32 (exact below 2^24) or
float64 (exact below 2^53), and our own integer loops.

Each `obstacle` method defines for which layers an operator is exact by design. Module `exact`
verifies operators of libraries on inputs of every shape before their first use.
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
    """Operator that computes the sums of one layer.

    Parameters
    ----------
    weights : Weights
        Weights of the layer.
    device : torch.device
        Device of events and sums.
    """

    name: ClassVar[str]
    # Type of the input.
    events: ClassVar[torch.dtype]

    def __init__(self, weights: Weights, device: torch.device = CPU) -> None:
        self.weights, self.window, self.device = weights, weights.window, device

    @classmethod
    @abstractmethod
    def obstacle(cls, weights: Weights) -> str:
        """Return why the operator is not exact or not available for a layer, or ''."""

    def bring(self, events: Tensor) -> Tensor:
        """Convert events to the type and memory order that `sums` requires.

        Strides follow from the shape even for axes with one element, since torch derives the order
        from them.
        """
        return _channels_last(events.to(self.events))

    @abstractmethod
    def sums(self, events: Tensor) -> Tensor:
        """Return the sums of mantissas.

        Parameters
        ----------
        events : Tensor
            Events ``(N, C, rows, columns)`` from `bring`, including the border.

        Returns
        -------
        Tensor
            Sums ``(N, O, H', W')`` in any memory order, of a type that represents them exactly.
        """

    def output_shape(self, events: Tensor) -> tuple[int, int, int, int]:
        """Return the shape of the sums."""
        sides = zip(events.shape[2:], self.window.reach, self.window.stride, strict=True)
        height, width = ((side - reach) // stride + 1 for side, reach, stride in sides)
        return len(events), len(self.weights.mantissa), height, width


class OneDnn(DenseKernel):
    """Operator of oneDNN: u8 x s8 -> int32, returned as float32."""

    name = "onednn"
    events = torch.uint8

    def __init__(self, weights: Weights, device: torch.device = CPU) -> None:
        super().__init__(weights, device)
        window = self.window
        weight = torch.from_numpy(weights.mantissa.astype(np.int8))
        # Set type and device explicitly, since the user's program may change torch's defaults.
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
        """Return why oneDNN's operators cannot be used, or ''."""
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
    """Convolution in float32, which is exact while partial sums stay below 2^24."""

    name = "float32"
    events = torch.float32
    _exact = FLOAT32_EXACT

    def __init__(self, weights: Weights, device: torch.device = CPU) -> None:
        super().__init__(weights, device)
        self._weight = _channels_last(_on(device, weights.mantissa, self.events))

    @classmethod
    def obstacle(cls, weights: Weights) -> str:
        """Return why sums may become too large, or ''."""
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
    """Convolution in float64, which is exact while partial sums stay below 2^53."""

    name = "float64"
    events = torch.float64
    _exact = FLOAT64_EXACT


class Matmul32(Float32):
    """Matrix product per group in float32, which only sums products, in any order.

    Convolutions of libraries may use other algorithms (Winograd, FFT), which round.
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
    """Matrix product per group in float64."""

    name = "matmul64"
    events = torch.float64
    _exact = FLOAT64_EXACT


class Loops(DenseKernel):
    """Loops on 32-bit integers, or 64-bit ones if sums need them, without any library."""

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
        """Return '', since loops are always exact."""
        return ""

    def bring(self, events: Tensor) -> Tensor:
        """Convert events to the CPU, with channels last and the type of the sums."""
        kind = torch.from_numpy(np.empty(0, self._weight.dtype)).dtype
        return _channels_last(events.to(CPU, kind))

    def sums(self, events: Tensor) -> Tensor:
        """Return the sums as int32 or int64."""
        images, outputs, height, width = self.output_shape(events)
        sums = zeros((images, height, width, outputs), self._weight.dtype)
        rows_first = placed(np.ascontiguousarray(events.permute(0, 2, 3, 1).numpy()))
        add_up(rows_first, self._weight, self._geometry, sums)
        return torch.from_numpy(sums).permute(0, 3, 1, 2).to(self.device)


def _on(device: torch.device, values: np.ndarray, kind: torch.dtype) -> Tensor:
    return torch.from_numpy(np.require(values, requirements=("C", "W"))).to(device, kind)


def _plain(values: Tensor) -> Tensor:
    """Return values in C order, with strides of C order even for axes with one element."""
    _, channels, height, width = values.shape
    strides = channels * height * width, height * width, width, 1
    return values.contiguous().as_strided(values.shape, strides)


def _channels_last(values: Tensor) -> Tensor:
    """Return values with channels last in memory.

    A single channel is both first and last, and torch derives the order from its stride. Some of
    oneDNN's convolutions in torch 2.3.1 (stride (1, s), one output column) then confuse the orders
    and return arbitrary memory contents. This does not happen with C order.
    """
    _, channels, height, width = values.shape
    if channels == 1:
        return _plain(values)
    strides = height * width * channels, 1, width * channels, channels
    return values.contiguous(memory_format=torch.channels_last).as_strided(values.shape, strides)


def _beyond(weights: Weights, limit: int, kind: str) -> str:
    bound = weights.bound
    return "" if bound < limit else f"sums of up to {bound} are not exact in {kind}"


# Operators, fastest first, with the names of `sdt_lava.engine.options.DENSE_KERNELS`.
DENSE_KERNELS: dict[str, type[DenseKernel]] = {
    kernel.name: kernel for kernel in (OneDnn, Float32, Matmul32, Float64, Matmul64, Loops)
}
