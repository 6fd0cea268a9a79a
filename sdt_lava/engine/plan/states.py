"""Convert states of neurons between ``(B, *shape)`` and the kernels' layout."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from sdt_lava.engine.layout import LANES, Layout, load_currents, store_currents
from sdt_lava.ir import CubaLif, Graph
from sdt_lava.ir.numerics import STATE_LIMIT, NeuronStates
from sdt_lava.support.allocation import placed

# (B * H, W, words, 2, 64), v first.
PackedStates = dict[str, NDArray[np.int32]]


def packs_states(graph: Graph, states: NeuronStates) -> bool:
    """Return whether the kernels can continue from these states and store the complete state."""
    within = all(
        np.abs(state).max(initial=0) <= STATE_LIMIT + 1
        for values in states.values()
        for state in values
    )
    return within and not graph.of_type(CubaLif)


def load_states(graph: Graph, states: NeuronStates, names: Collection[str]) -> PackedStates:
    """Convert the states of some populations to the kernels' layout."""
    packed = {}
    for name in states.keys() & set(names):
        layout = Layout.of(graph.shapes[name])
        assert layout is not None
        current, voltage = (_store(value, layout) for value in states[name])
        packed[name] = placed(np.ascontiguousarray(np.stack([voltage, current], axis=3)))
    return packed


def save_states(graph: Graph, packed: PackedStates, states: NeuronStates, batch: int) -> None:
    """Convert states back from the kernels' layout."""
    for name, array in packed.items():
        layout = Layout.of(graph.shapes[name])
        assert layout is not None
        voltage, current = (_load(array[..., part, :], layout, batch) for part in (0, 1))
        states[name] = current, voltage


def _store(values: NDArray[np.int64], layout: Layout) -> NDArray[np.int32]:
    stored = np.zeros(layout.current_shape(len(values), 1), np.int32)
    store_currents(values[None], layout, stored)
    return stored.reshape(-1, layout.width, layout.words, LANES)


def _load(stored: NDArray[np.int32], layout: Layout, batch: int) -> NDArray[np.int64]:
    rows = np.ascontiguousarray(stored).reshape(layout.current_shape(batch, 1))
    return load_currents(rows, layout, batch)[0]
