"""Compute sums with the first operator that is verified to be exact on inputs of the same shape.

Libraries choose code by shape, memory order, processor, threads and settings, and some of that code
is wrong. Results for one shape do not carry over to another. Each operator is therefore probed
before its first input of a given shape in a process, under the current settings. If its sums
differ, the layer uses the next operator; our own loops come last.
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

# Results of probes by operator, weights, shape, device and settings; '' if sums are exact.
_VERDICTS: dict[Hashable, str] = {}
_MOST_VERDICTS = 100_000
# Two products of events up to this value and 8-bit weights fit 16 bits.
_SAFE_EVENT = 127


def settings() -> tuple[Hashable, ...]:
    """Return the settings of torch on which the code of operators may depend."""
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
    """Dense sums of one layer by verified operators.

    Parameters
    ----------
    weights : Weights
        Weights of the layer.
    layer : str
        Name of the layer, for the log.
    kinds : sequence of type of DenseKernel
        Operators that are exact for the layer by design, best first.
    device : torch.device
        Device of events and sums.
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
        """Memory of the weights in the format of the operator in use."""
        return self.weights.mantissa.size * self._kinds[0].events.itemsize

    def sums(self, events: Tensor) -> Tensor:
        """Return the sums of mantissas.

        Parameters
        ----------
        events : Tensor
            Integers ``(N, C, rows, columns)`` in any memory order, including the border.

        Returns
        -------
        Tensor
            Sums ``(N, O, H', W')`` in any memory order, of a type that represents them exactly.
        """
        kernel = self._kernel(self.kind_for(tuple(events.shape)))
        return kernel.sums(kernel.bring(events))

    def kind_for(self, shape: tuple[int, ...]) -> type[DenseKernel]:
        """Return the operator for inputs ``(N, C, rows, columns)``."""
        for kind in self._kinds:
            problem = self._problem(kind, shape)
            if not problem:
                return kind
            # Concurrent threads may both reach this line, with the same result.
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
        # There is no lock, since a fork could leave it held; at worst, a kernel is created twice.
        if kind not in self._kernels:
            self._kernels[kind] = kind(self.weights, self.device)
        return self._kernels[kind]

    def _problem(self, kind: type[DenseKernel], shape: tuple[int, ...]) -> str:
        """Return the error of an operator on inputs of a shape, or ''."""
        if 0 in shape or not self.weights.mantissa.size:
            return ""
        if kind is Loops:
            # Our own loops are independent of the shape, so one check is enough.
            return "" if is_exact(Loops.name, _problem_of_loops) else "gives other sums"
        key = (kind.name, self.weights.digest, shape, self.device, settings())
        if key not in _VERDICTS:
            if len(_VERDICTS) >= _MOST_VERDICTS:
                _VERDICTS.clear()
            _VERDICTS[key] = difference(lambda: self._kernel(kind), shape)
        return _VERDICTS[key]


def _problem_of_loops() -> str:
    """Return the error of our own loops on representative shapes, or ''."""
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
    """Return a layer's sums with the preferred operator if exact, otherwise the fastest exact one.

    Parameters
    ----------
    weights : Weights
        Weights of the layer.
    layer : str
        Name of the layer, for the log.
    wanted : str, optional
        Preferred operator.
    device : torch.device
        Device of events and sums.
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
    """Return the names of the operators of a device, fastest first."""
    if device.type == "cpu":
        return tuple(DENSE_KERNELS)
    # Convolutions of cuDNN are not used, since they may use Winograd or FFT, which round.
    return Matmul32.name, Matmul64.name, Loops.name


def _obstacle(kind: type[DenseKernel], weights: Weights) -> str:
    reason = kind.obstacle(weights)
    if kind is OneDnn and not reason and weights.events[1] > _SAFE_EVENT and byte_products_differ():
        return f"events of up to {weights.events[1]}, and oneDNN saturates products here"
    return reason


def byte_products_differ() -> bool:
    """Return whether oneDNN's 8-bit operators saturate, as they do without VNNI.

    This is tested with oneDNN itself, since its code depends not only on the processor
    (ONEDNN_MAX_CPU_ISA).
    """
    key = (OneDnn.name, "full range", settings())
    if key not in _VERDICTS:
        signs = np.where(np.arange(64) % 3 == 2, -128, 127)
        problem = ""
        for side in (1, 3):
            mantissa = np.tile(signs[:, None, None], (32, 1, side, side))
            weights = Weights(mantissa, Window((side, side)), (0, 255))
            problem = problem or difference(partial(OneDnn, weights), (4, 64, 5, 5))
        _VERDICTS[key] = problem
    return bool(_VERDICTS[key])
