"""Dense kernels: every input is multiplied, whether it spikes or not.

oneDNN's operators on 8-bit integers are inside torch and sum exactly in 32 bits; they return
float32, exact below 2^24. Where the processor or the range of the sums does not allow them, the
same sums are made in float32 (below 2^24) or float64 (below 2^53).
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sdt_lava.numerics import FLOAT32_EXACT
from sdt_lava.simulate.engine.synapses import Synapses

logger = logging.getLogger(__name__)

FLOAT64_EXACT = 2**53
# Without VNNI, 8-bit products are added in pairs that saturate at 16 bits: 2 * 127 * 128 fits.
_SAFE_EVENT = 127
_LARGEST_BYTE = 255


def _has_vnni() -> bool:
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    return bool(features.get("avx512vnni") or features.get("avxvnni"))


class DenseKernel(ABC):
    """Sums of one layer for some rows of one image.

    Parameters
    ----------
    synapses : Synapses
        The layer.
    """

    name: ClassVar[str]
    # Type of the input that it wants.
    events: ClassVar[torch.dtype]

    def __init__(self, synapses: Synapses) -> None:
        self.synapses = synapses

    @classmethod
    @abstractmethod
    def obstacle(cls, synapses: Synapses) -> str:
        """Return why the kernel would not be exact or available for a layer; '' if it is."""

    @abstractmethod
    def sums(self, events: Tensor) -> Tensor:
        """Return the sums of mantissas.

        Parameters
        ----------
        events : Tensor
            ``(T, C, rows, columns)`` with channels last in memory, the border included.

        Returns
        -------
        Tensor
            ``(T, O, H', W')`` with channels last, float32, or int32 for sums beyond it.
        """


class OneDnn(DenseKernel):
    """u8 x s8 -> int32 in oneDNN, returned as float32."""

    name = "onednn"
    events = torch.uint8

    def __init__(self, synapses: Synapses) -> None:
        super().__init__(synapses)
        window = synapses.window
        weight = torch.from_numpy(synapses.mantissa.astype(np.int8))
        self._ones = torch.ones(len(weight))
        self._zeros = torch.zeros(len(weight), dtype=torch.int32)
        self._geometry = [list(window.stride), [0, 0], list(window.dilation), window.groups]
        if window.is_pointwise:
            self._weight = torch.ops.onednn.qlinear_prepack(weight.flatten(1), None)
        else:
            self._weight = torch.ops.onednn.qconv_prepack(
                weight, self._ones, 1.0, 0, *self._geometry, None
            )

    @classmethod
    def obstacle(cls, synapses: Synapses) -> str:
        """Return why the operators of oneDNN cannot be used."""
        if not torch.backends.mkldnn.is_available() or not hasattr(
            torch.ops.onednn, "qconv_prepack"
        ):
            return "this torch has no 8-bit operators"
        if not synapses.fits_int8:
            return "weights do not fit 8 bits"
        if synapses.mantissa.shape[1] == 1 and synapses.window.stride != (1, 1):
            # Found by comparison in torch 2.3.1: some of these shapes give other sums.
            return "one channel a group with a stride"
        low, high = synapses.events
        if low < 0 or high > _LARGEST_BYTE:
            return f"events of {low} to {high} do not fit 8 bits without a sign"
        if high > _SAFE_EVENT and not _has_vnni():
            return f"events of up to {high} on a processor without VNNI"
        return _beyond(synapses, FLOAT32_EXACT, "float32")

    def sums(self, events: Tensor) -> Tensor:
        """Return the sums as float32."""
        if self.synapses.window.is_pointwise:
            steps, channels, rows, columns = events.shape
            flat = events.permute(0, 2, 3, 1).reshape(-1, channels)
            out = torch.ops.onednn.qlinear_pointwise(
                flat, 1.0, 0, self._weight, self._ones, self._zeros, None, 1.0, 0, torch.float32,
                "none", [], "",
            )  # fmt: skip
            return out.reshape(steps, rows, columns, -1).permute(0, 3, 1, 2)
        return torch.ops.onednn.qconv2d_pointwise(
            events, 1.0, 0, self._weight, self._ones, self._zeros, None, *self._geometry, 1.0, 0,
            torch.float32, "none", [], "",
        )  # fmt: skip


class Float32(DenseKernel):
    """Sums in float32, exact while none of their parts reaches 2^24."""

    name = "float32"
    events = torch.float32
    _exact = FLOAT32_EXACT

    def __init__(self, synapses: Synapses) -> None:
        super().__init__(synapses)
        weight = torch.from_numpy(synapses.mantissa).to(self.events)
        self._weight = weight.contiguous(memory_format=torch.channels_last)

    @classmethod
    def obstacle(cls, synapses: Synapses) -> str:
        """Return whether sums may become too large."""
        return _beyond(synapses, cls._exact, cls.name)

    def sums(self, events: Tensor) -> Tensor:
        """Return the sums."""
        window = self.synapses.window
        if window.is_pointwise:
            flat = events.permute(0, 2, 3, 1)
            return functional.linear(flat, self._weight.flatten(1)).permute(0, 3, 1, 2)
        return functional.conv2d(
            events, self._weight, None, window.stride, 0, window.dilation, window.groups
        )


class Float64(Float32):
    """Sums in float64, exact while none of their parts reaches 2^53."""

    name = "float64"
    events = torch.float64
    _exact = FLOAT64_EXACT

    def sums(self, events: Tensor) -> Tensor:
        """Return the sums as int32, which the plan has proved to hold them."""
        return super().sums(events).to(torch.int32)


def _beyond(synapses: Synapses, limit: int, kind: str) -> str:
    bound = synapses.bound
    return "" if bound < limit else f"sums of up to {bound} are not exact in {kind}"


# The fastest first; the names are those of `sdt_lava.simulate.engine_options.DENSE_KERNELS`.
DENSE_KERNELS: dict[str, type[DenseKernel]] = {
    kernel.name: kernel for kernel in (OneDnn, Float32, Float64)
}


def choose_dense(synapses: Synapses, layer: str, wanted: str | None = None) -> type[DenseKernel]:
    """Return the fastest kernel that is exact for a layer, or the one asked for if it is exact.

    Parameters
    ----------
    synapses : Synapses
        The layer.
    layer : str
        Its name, for the log.
    wanted : str, optional
        Preferred kernel.
    """
    names = [wanted] if wanted in DENSE_KERNELS else []
    for name in [*names, *DENSE_KERNELS]:
        kernel = DENSE_KERNELS[name]
        reason = kernel.obstacle(synapses)
        if not reason:
            logger.debug("%s: dense kernel %s, sums below %d", layer, name, synapses.bound)
            return kernel
        logger.debug("%s: not %s: %s", layer, name, reason)
    raise AssertionError(f"{layer}: sums of {synapses.bound} fit no kernel")
