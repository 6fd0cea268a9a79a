"""Create constant currents: biases that are integrated by a neuron's current, not its membrane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from sdt_lava.importers.nir.maker import Maker
from sdt_lava.importers.nir.populations import Arriving, Layout
from sdt_lava.io.nir.values import FloatArray
from sdt_lava.ir import Conv, Dense, Lif, Synapse
from sdt_lava.ir.numerics import DECAY_UNITY


def constant_source(
    maker: Maker,
    name: str,
    arriving: Sequence[Arriving],
    layout: Layout,
    constant: FloatArray,
) -> str:
    """Add a source that fires at every step, whose weights are a constant current.

    A neuron's own bias bypasses the memory of its current. Returns the name of the synapse.
    """
    if layout.convolves:
        first = maker.nodes[_synapse_from(maker, name, arriving[0])]
        assert isinstance(first, Conv)
        channels = maker.shapes[first.inputs[0]][0]
        silent: Synapse = replace(
            first, name=maker.free_name(f"{name}.silent"), origin=name, groups=1,
            weight=np.zeros((1, channels, *first.weight.shape[2:])),
        )  # fmt: skip
        weight = constant.reshape(-1, 1, 1, 1)
    else:
        # Any population works, because its spikes have a weight of 0; the smallest is cheapest.
        source = min(maker.sent.values(), key=lambda sent: prod(sent.ours)).node
        size = prod(maker.shapes[source])
        silent = Dense(
            name=maker.free_name(f"{name}.silent"), inputs=(source,), origin=name,
            weight=np.zeros((1, size)),
        )  # fmt: skip
        weight = constant.reshape(-1, 1)
    always = Lif(
        name=maker.free_name(f"{name}.always"), inputs=(silent.name,), threshold=1.0,
        voltage_decay=DECAY_UNITY, bias=np.full(1, 2.0), origin=name,
    )  # fmt: skip
    kind = Conv if layout.convolves else Dense
    biases = kind(name=maker.free_name(f"{name}.bias"), inputs=(always.name,), weight=weight)
    for node in (silent, always, biases):
        maker.add(node)
    maker.notes.append(
        f"{name}: a bias that its current integrates comes from {always.name!r}, "
        "which fires at every step"
    )
    return biases.name


def _synapse_from(maker: Maker, name: str, arrives: Arriving) -> str:
    """Return the synapse created for a path: the newest one that reads its sender."""
    return next(
        node.name
        for node in reversed(maker.nodes.values())
        if isinstance(node, Conv) and node.inputs == (arrives.node,)
    )
