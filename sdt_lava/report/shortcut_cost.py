"""Compare the costs of SEW and membrane shortcuts, counted on the float models.

Both are counted in the same way, from the actual input of the convolutions: an event is a
non-zero value, and it drives as many synapses as its position has taps (image borders count).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sdt_lava.families.sdt1.transformer import SpikeDrivenTransformer
from sdt_lava.report.energy_model import EnergyModel
from sdt_lava.support.torch_state import evaluating


@dataclass(frozen=True)
class ShortcutCost:
    """Counts of a float model over a data set, without the first convolution.

    Parameters
    ----------
    samples : int
        Number of samples.
    events : int
        Non-zero values read by synapses.
    multi_bit : int
        Events with values above 1, which binary spikes cannot carry.
    largest : int
        Largest value.
    accumulates : int
        Synaptic operations of events of value 1: a weight is added.
    multiplies : int
        Synaptic operations of larger values: a weight is multiplied, then added.
    repeated : int
        Additions if every event of value n is sent as n spikes instead.
    """

    samples: int
    events: int
    multi_bit: int
    largest: int
    accumulates: int
    multiplies: int
    repeated: int

    @property
    def multi_bit_share(self) -> float:
        """Fraction of the events that are not binary spikes."""
        return self.multi_bit / self.events if self.events else 0.0

    @property
    def synops(self) -> int:
        """Synaptic operations of all samples."""
        return self.accumulates + self.multiplies

    def energy_nj(self, model: EnergyModel) -> float:
        """Return the energy of the synaptic operations of one sample [nJ].

        Values above 1 are charged as multiply-and-accumulate.
        """
        costs = model.costs
        total = self.accumulates * costs["accumulate"].pj + self.multiplies * costs["mac"].pj
        return total / self.samples / 1e3

    def repeated_energy_nj(self, model: EnergyModel) -> float:
        """Return the energy of one sample if values are sent as repeated spikes [nJ]."""
        return self.repeated * model.costs["accumulate"].pj / self.samples / 1e3


def count_shortcut_cost(
    model: SpikeDrivenTransformer, x: NDArray[np.float32], batch_size: int = 64
) -> ShortcutCost:
    """Run a model and count the input events of its synapses.

    Parameters
    ----------
    model : SpikeDrivenTransformer
        Trained model with either kind of shortcut; run in eval mode.
    x : ndarray
        Images ``(B, C, H, W)`` or frames ``(B, T, C, H, W)``.
    batch_size : int
        Samples per batch.
    """
    totals: dict[str, int] = dict.fromkeys(_COUNTS, 0)
    with evaluating(model), _counting(model, totals):
        for start in range(0, len(x), batch_size):
            model(torch.from_numpy(x[start : start + batch_size]))
    return ShortcutCost(samples=len(x), **totals)


_COUNTS = ("events", "multi_bit", "largest", "accumulates", "multiplies", "repeated")


@contextmanager
def _counting(model: nn.Module, totals: dict[str, int]) -> Iterator[None]:
    first = True
    hooks = []
    for module in model.modules():
        if not isinstance(module, (nn.Conv3d, nn.Linear)):
            continue
        if not first:  # the first convolution reads the image
            hooks.append(module.register_forward_pre_hook(_hook(totals)))
        first = False
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _hook(totals: dict[str, int]):  # type: ignore[no-untyped-def]
    def count(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        value = inputs[0]
        single, multi = (value == 1).double(), (value > 1).double()
        totals["events"] += int((value != 0).sum())
        totals["multi_bit"] += int(multi.sum())
        totals["largest"] = max(totals["largest"], int(value.max()))
        totals["accumulates"] += _synops(module, single)
        totals["multiplies"] += _synops(module, multi)
        totals["repeated"] += _synops(module, value.double())

    return count


def _synops(module: nn.Module, events: Tensor) -> int:
    """Sum up events times their taps by applying the layer with all weights set to one."""
    if isinstance(module, nn.Linear):
        return int(events.sum()) * module.out_features
    assert isinstance(module, nn.Conv3d)
    ones = torch.ones(1, *module.weight.shape[1:], dtype=torch.float64)
    # One channel of ones per group suffices: all output channels read the same positions.
    sums = nn.functional.conv3d(
        events,
        ones.expand(module.groups, *ones.shape[1:]),
        stride=module.stride,
        padding=module.padding,
        dilation=module.dilation,
        groups=module.groups,
    )
    return int(sums.sum()) * (module.out_channels // module.groups)
