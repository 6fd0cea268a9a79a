"""Prepare the example input of a network and the input node of its graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdt_lava.datasets.normalisation import measured_levels
from sdt_lava.errors import TraceError
from sdt_lava.importers.tracing.axes import BATCH, TIME, Layout, whole
from sdt_lava.ir import Input

_AXES = {2: "BC", 4: "BCHW", 5: "BTCHW"}
_SIGNALS = ("C", "CHW")


@dataclass(frozen=True)
class Example:
    """Example input of a network.

    Parameters
    ----------
    node : Input
        Input node of the graph.
    axes : str
        Meaning of each axis, such as ``BTCHW``.
    layout : Layout
        Axes as factors, for some batch size.
    x : Tensor or None
        Values, if any.
    """

    node: Input
    axes: str
    layout: Layout
    x: Tensor | None

    @property
    def steps(self) -> int:
        """Number of time steps of an example with a time axis."""
        return self.layout[self.axes.index(TIME)][0].size

    def layout_of(self, batch: int) -> Layout:
        """Return the layout for a given batch size."""
        axes = list(self.layout)
        axes[self.axes.index(BATCH)] = whole(BATCH, batch)
        return tuple(axes)

    def meta(self, batch: int) -> Tensor:
        """Return a tensor of the right shape without values."""
        dtype = torch.float32 if self.x is None else self.x.dtype
        shape = [axis[0].size for axis in self.layout_of(batch)]
        return torch.empty(shape, dtype=dtype, device="meta")

    def samples(self, batch: int) -> Tensor:
        """Return a number of samples, repeating them if there are not enough."""
        assert self.x is not None
        axis = self.axes.index(BATCH)
        present = self.x.shape[axis]
        index = torch.arange(batch) % present
        return self.x.index_select(axis, index)


def read_example(example: Any, axes: str | None, levels: tuple[float, int, int] | None) -> Example:
    """Read an example input and name its axes.

    Raises
    ------
    TraceError
        If the axes are unknown, or the example is not an array of finite numbers.
    """
    x = torch.as_tensor(example)
    if not x.is_floating_point():
        x = x.to(torch.get_default_dtype())
    axes = axes or _AXES.get(x.ndim)
    if axes is None:
        raise TraceError(
            "example", f"{x.ndim} axes", "2, 4 or 5", "say what they are, as in axes='BTC'"
        )
    signal = "".join(letter for letter in axes if letter not in (BATCH, TIME))
    letters_fit = sorted(axes) == sorted(set(axes)) and BATCH in axes and len(axes) == x.ndim
    if not letters_fit or signal not in _SIGNALS:
        raise TraceError(
            f"axes = {axes!r} of an example of shape {tuple(x.shape)}",
            f"the signal {signal!r}",
            "a letter for each axis: B, C or C, H, W in this order, and T if time is one",
        )
    if 0 in x.shape:
        raise TraceError("example", f"shape {tuple(x.shape)}", "no empty axis")
    number = iter(range(len(signal)))
    layout = tuple(
        whole(letter if letter in (BATCH, TIME) else next(number), size)
        for letter, size in zip(axes, x.shape, strict=True)
    )
    shape = tuple(x.shape[axes.index(letter)] for letter in signal)
    is_known = x.device.type != "meta"
    node = _entry(shape, x if is_known else None, levels)
    return Example(node, axes, layout, x if is_known else None)


def _entry(
    shape: tuple[int, ...], x: Tensor | None, levels: tuple[float, int, int] | None
) -> Input:
    if levels is None and x is None:
        raise TraceError("levels", "none, and an example without numbers", "scale, low and high")
    if levels is None:
        assert x is not None
        values = x.detach().cpu().double().numpy()
        if not np.isfinite(values).all():
            raise TraceError("example", "NaN or infinity", "finite numbers")
        if np.isin(values, (0.0, 1.0)).all():
            levels = (1.0, 0, 1)
        else:
            measured, _ = measured_levels(values)
            levels = (measured.scale, measured.low, measured.high)
    scale, low, high = levels
    return Input(name="input", shape=shape, scale=float(scale), low=int(low), high=int(high))
