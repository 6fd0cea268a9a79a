"""A flatten that something other than dense synapses reads."""

from __future__ import annotations

import numpy as np
import pytest

import sdt_lava
from sdt_lava.ir import And, Conv, CubaLif, Dense, Flatten, Graph, Input, Lif
from tests.needs import runnable


def network(readers: str) -> Graph:
    """An image that is flattened twice, and a mask, neurons or both over the vectors."""
    rng = np.random.default_rng(1)
    weight = 2 * rng.integers(-40, 60, (2, 1, 3, 3))
    nodes = [
        Input(name="input", shape=(1, 3, 2)),
        Conv(name="conv", inputs=("input",), weight=weight, padding=(1, 1)),
        Lif(name="lif", inputs=("conv",), threshold=20),
        Flatten(name="flat", inputs=("lif",)),
        Flatten(name="again", inputs=("lif",)),
        Dense(name="fc", inputs=("flat",), weight=2 * rng.integers(-40, 60, (12, 12))),
        Lif(name="lif2", inputs=("fc",), threshold=20),
    ]
    pairs = {"twice": ("flat", "again"), "vector": ("flat", "lif2"), "both": ("lif2", "again")}
    if readers == "neurons":
        bias = rng.integers(-3, 4, 12)
        last = CubaLif(name="cuba", inputs=("flat",), threshold=1, voltage_decay=2048, bias=bias)
    else:
        last = And(name="and", inputs=pairs[readers])
    nodes.append(last)
    for source in (last.name, "lif2", "again"):
        weight = 2 * rng.integers(-9, 60, (3, 12))
        nodes.append(Dense(name=f"from {source}", inputs=(source,), weight=weight))
    ends = tuple(node.name for node in nodes[-3:])
    return Graph.build([*nodes, Lif(name="out", inputs=ends, threshold=30)], 4)


@pytest.mark.parametrize("readers", ["twice", "vector", "both", "neurons"])
def test_it_becomes_a_population(readers):
    graph = network(readers)
    x = np.random.default_rng(2).integers(0, 2, (3, 4, 1, 3, 2))
    expected = sdt_lava.simulate(graph, x, "reference")
    assert expected.spikes["out"].any()
    forms = [
        ("engine", {"count": True}),
        ("engine", {"shortcut": "relay"}),
        ("lava-inprocess", {}),
        ("lava-inprocess", {"models": "fused"}),
    ]
    for backend, options in runnable(forms):
        found = sdt_lava.simulate(graph, x, backend, **options)
        for name, spikes in expected.spikes.items():
            assert np.array_equal(found.spikes[name], spikes), (backend, options, name)
        assert found.synops.total == expected.synops.total
