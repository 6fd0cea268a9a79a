"""Convert delays of spikes to neurons without memory that repeat spikes later."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import nir
import numpy as np

from sdt_lava.errors import NirError
from sdt_lava.importers.nir.layers import fitted
from sdt_lava.importers.nir.maker import Maker
from sdt_lava.importers.nir.operators import Reshape
from sdt_lava.importers.nir.populations import (
    Layout,
    Population,
    by_channel,
    decay_field,
    layout_of,
)
from sdt_lava.io.nir.values import FloatArray, numbers
from sdt_lava.ir import CubaLif, Input, Shape
from sdt_lava.ir.numerics import DECAY_UNITY

# Allowed deviation of a delay from a whole number of steps.
_CLOSE = 1e-3


def read_delay(maker: Maker, name: str, node: nir.Delay) -> None:
    """Add neurons without memory that repeat spikes later."""
    others, _, shape = maker.arriving(name)
    arrives = others[0]
    sender = maker.nodes[arrives.node]
    if len(others) > 1 or any(not isinstance(layer, Reshape) for layer in arrives.layers):
        raise NirError(
            name, "a delay of currents", "a Delay that reads neurons or the Input",
            "put the Delay before the weights",
        )  # fmt: skip
    if isinstance(sender, Input) and (sender.low, sender.high) != (0, 1):
        found = f"a delay of values from {sender.low} to {sender.high}"
        raise NirError(name, found, "a delay of spikes", "delay the data instead")
    steps = _steps(maker, name, node, shape)
    implicit = maker.exact and maker.metadata[name].get("implicit") is not None
    if implicit and isinstance(sender, CubaLif):
        channels = by_channel(steps, Layout(shape, arrives.ours, True)).astype(np.int64)
        maker.nodes[arrives.node] = replace(sender, delay=channels)
        maker.sent[name] = Population(arrives.node, shape, arrives.ours)
        return
    layout = layout_of(name, others, shape, (steps,))
    synapses = maker.add_synapses(name, others, layout)
    delay = decay_field(steps, layout)
    values: dict[str, Any] = {"threshold": 0.5, "delay": delay}
    values |= dict.fromkeys(("voltage_decay", "current_decay"), DECAY_UNITY)
    relay = CubaLif(name=name, inputs=tuple(synapses), **values)
    maker.add(relay)
    maker.sent[name] = Population(name, shape, layout.ours)


def _steps(maker: Maker, name: str, node: nir.Delay, shape: Shape) -> FloatArray:
    delay = fitted(numbers(node.delay, f"{name}: delay"), shape, f"{name}: delay")
    if delay.min() < 0:
        raise NirError(f"{name}: delay", f"{delay.min():g} s", "0 or more")
    exact = delay / maker.dt
    steps = np.rint(exact)
    worst = int(np.argmax(np.abs(exact - steps)))
    if abs(exact.flat[worst] - steps.flat[worst]) > _CLOSE:
        maker.notes.append(
            f"{name}: a delay of {exact.flat[worst]:.6g} steps rounded to {steps.flat[worst]:.0f}"
        )
    return steps
