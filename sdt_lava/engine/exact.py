"""Sums by the first operator that has shown to be exact on inputs of the same shape.

Libraries choose their code by shape, order in memory, processor, threads and settings, and some of
that code is wrong. Nothing is concluded from one shape to another: an operator is probed before it
gets an input of a shape for the first time in a process, under the settings of that moment. Where
it differs, the layer goes on with the next operator; the last are loops of our own.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from sdt_lava.engine.dense import (
    CPU,
    DENSE_KERNELS,
    DenseKernel,
    Loops,
    Matmul32,
    Matmul64,
    OneDnn,
)
from sdt_lava.engine.probe import difference
from sdt_lava.engine.synapses import Weights, Window
from sdt_lava.errors import ResourceError
from sdt_lava.kernels.verdicts import is_exact
from sdt_lava.support.torch_precision import precisions

logger = logging.getLogger(__name__)

# What probes found, by operator, weights, shape, device and settings: '' where sums are exact.
_VERDICTS: dict[Hashable, str] = {}
_MOST_VERDICTS = 100_000
# Two products of such events and 8-bit weights fit 16 bits.
_SAFE_EVENT = 127


def settings() -> tuple[Hashable, ...]:
    """Return the settings of torch that operators may choose their code by."""
    return (
        torch.get_num_threads(),
        *precisions(),
        torch.is_autocast_cpu_enabled(),
        torch.is_autocast_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch._C._get_mkldnn_enabled(),
        torch._C._get_nnpack_enabled(),
        torch._C._get_cudnn_enabled(),
    )


class ExactSums:
    """Dense sums of one layer.

    Parameters
    ----------
    weights : Weights
        The layer's.
    layer : str
        Its name, for the log.
    kinds : sequence of type of DenseKernel
        Operators that are exact for it by design, the best first.
    device : torch.device
        Where events and sums are.
    """

    def __init__(
        self,
        weights: Weights,
        layer: str,
        kinds: Sequence[type[DenseKernel]],
        device: torch.device = CPU,
    ) -> None:
        self.weights, self.layer, self.device = weights, layer, device
        self._kinds = tuple(kinds)
        self._kernels: dict[type[DenseKernel], DenseKernel] = {}

    @property
    def name(self) -> str:
        """Name of the operator in use."""
        return self._kinds[0].name

    @property
    def table_bytes(self) -> int:
        """Memory of the weights in the form of the operator in use."""
        return self.weights.mantissa.size * self._kinds[0].events.itemsize

    def sums(self, events: Tensor) -> Tensor:
        """Return the sums of mantissas.

        Parameters
        ----------
        events : Tensor
            Integers ``(N, C, rows, columns)`` in any order in memory, the border included.

        Returns
        -------
        Tensor
            ``(N, O, H', W')`` in any order, of a type that holds the sums exactly.
        """
        kernel = self._kernel(self.kind_for(tuple(events.shape)))
        return kernel.sums(kernel.bring(events))

    def kind_for(self, shape: tuple[int, ...]) -> type[DenseKernel]:
        """Return the operator for inputs ``(N, C, rows, columns)``."""
        for kind in self._kinds:
            problem = self._problem(kind, shape)
            if not problem:
                return kind
            # Threads may come here together, and then do the same.
            self._kinds = tuple(other for other in self._kinds if other is not kind)
            logger.warning(
                "%s: %s %s on inputs of shape %s (%s to %s): %s is used instead",
                self.layer, kind.name, problem, shape, *self.weights.events,
                self.name if self._kinds else "nothing",
            )  # fmt: skip
        raise ResourceError(
            self.layer,
            "no way to add up its weights that is right on this machine",
            "an exact operator",
            "use backend='reference'",
        )

    def _kernel(self, kind: type[DenseKernel]) -> DenseKernel:
        # No lock, which a fork could find taken: at worst one is made twice.
        if kind not in self._kernels:
            self._kernels[kind] = kind(self.weights, self.device)
        return self._kernels[kind]

    def _problem(self, kind: type[DenseKernel], shape: tuple[int, ...]) -> str:
        """Return what is wrong with an operator and inputs of a shape; '' if nothing."""
        if 0 in shape or not self.weights.mantissa.size:
            return ""
        if kind is Loops:
            # Ours, whatever the shape; one look at it is enough.
            return "" if is_exact(Loops.name, _problem_of_loops) else "gives other sums"
        key = (kind.name, self.weights.digest, shape, self.device, settings())
        if key not in _VERDICTS:
            if len(_VERDICTS) >= _MOST_VERDICTS:
                _VERDICTS.clear()
            _VERDICTS[key] = difference(lambda: self._kernel(kind), shape)
        return _VERDICTS[key]


def _problem_of_loops() -> str:
    """Return what our own loops do wrong, whatever the shape; '' if nothing."""
    rng = np.random.default_rng(2)
    for window in (Window((1, 1)), Window((3, 2), (2, 1), (0, 0), (1, 2), 3)):
        mantissa = rng.integers(-128, 128, (6 * window.groups, 5, *window.kernel))
        for reach in (1, 255, 2**30):
            weights = Weights(mantissa, window, (-reach, reach))
            problem = difference(partial(Loops, weights), (2, 5 * window.groups, 7, 6))
            if problem:
                return problem
    return ""


def choose_dense(
    weights: Weights, layer: str, wanted: str | None = None, device: torch.device = CPU
) -> ExactSums:
    """Return a layer's sums by the fastest operator that is exact, or the one asked for if it is.

    Parameters
    ----------
    weights : Weights
        The layer's.
    layer : str
        Its name, for the log.
    wanted : str, optional
        Preferred operator.
    device : torch.device
        Where events and sums are.
    """
    names = operators_of(device)
    if wanted in names:
        names = (wanted, *(name for name in names if name != wanted))
    kinds = []
    for name in names:
        reason = _obstacle(DENSE_KERNELS[name], weights)
        if reason:
            logger.debug("%s: not %s: %s", layer, name, reason)
        else:
            kinds.append(DENSE_KERNELS[name])
    logger.debug("%s: dense kernel %s, sums below %d", layer, kinds[0].name, weights.bound)
    return ExactSums(weights, layer, kinds, device)


def operators_of(device: torch.device) -> tuple[str, ...]:
    """Return the names of the operators of a device, the fastest first."""
    if device.type == "cpu":
        return tuple(DENSE_KERNELS)
    # Convolutions of cuDNN are not tried: they may be Winograd's or by FFT, which round.
    return Matmul32.name, Matmul64.name, Loops.name


def _obstacle(kind: type[DenseKernel], weights: Weights) -> str:
    reason = kind.obstacle(weights)
    if kind is OneDnn and not reason and weights.events[1] > _SAFE_EVENT and byte_products_differ():
        return f"events of up to {weights.events[1]}, and oneDNN saturates products here"
    return reason


def byte_products_differ() -> bool:
    """Whether oneDNN's 8-bit operators saturate, as they do without VNNI.

    oneDNN itself is asked: what it uses depends on more than the processor (ONEDNN_MAX_CPU_ISA).
    """
    key = (OneDnn.name, "full range", settings())
    if key not in _VERDICTS:
        signs = np.where(np.arange(64) % 3 == 2, -128, 127)
        found = ""
        for side in (1, 3):
            mantissa = np.tile(signs[:, None, None], (32, 1, side, side))
            weights = Weights(mantissa, Window((side, side)), (0, 255))
            found = found or difference(partial(OneDnn, weights), (4, 64, 5, 5))
        _VERDICTS[key] = found
    return bool(_VERDICTS[key])
