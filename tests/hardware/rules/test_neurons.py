"""Rules on neurons: thresholds, biases and decays."""

from __future__ import annotations

import numpy as np

from sdt_lava.hardware.targets import load_target
from sdt_lava.ir import CubaLif, Graph
from tests.graphs import random_sdt_graph
from tests.hardware.rules.cases import LOIHI2, dense, found, target


def test_threshold():
    assert not found("threshold", dense([[2]], threshold=131071), LOIHI2)
    assert found("threshold", dense([[2]], threshold=131072), LOIHI2)
    assert found("threshold", dense([[2]], threshold=-1), LOIHI2)
    gate = random_sdt_graph(np.random.default_rng(0))
    assert {v.node for v in found("threshold", gate, target(threshold_max=2))} >= {
        "block.0.attn.kv",
        "block.0.attn.mask",
    }


def test_bias():
    fits = dense([[2], [2]], bias=np.array([-4096, 4095]))
    assert not found("bias", fits, LOIHI2)
    for bias in ([0, 4096], [-4097, 0]):
        assert found("bias", dense([[2], [2]], bias=np.array(bias)), LOIHI2)


def test_bias_exponent():
    assert not found("bias_exponent", dense([[2]], bias=np.ones(1, int), bias_exponent=7), LOIHI2)
    assert found("bias_exponent", dense([[2]], bias=np.ones(1, int), bias_exponent=8), LOIHI2)


def test_voltage_decay():
    assert not found("voltage_decay", dense([[2]], voltage_decay=4095), LOIHI2)
    (violation,) = found("voltage_decay", dense([[2]], voltage_decay=4096), LOIHI2)
    assert violation.found == "4,096"
    assert not found("voltage_decay", dense([[2]], voltage_decay=4096), load_target("lava-cpu"))
    assert found("voltage_decay", dense([[2]], voltage_decay=-1), LOIHI2)


def test_current_decay():
    """Lava's du is one less, and 12 bits hold it up to 4095."""
    for decay, fits in ((4096, True), (1, True), (0, False), (4097, False)):
        net = dense([[2]], current_decay=decay)
        assert bool(found("current_decay", net, LOIHI2)) is not fits
        assert bool(found("current_decay", net, load_target("lava-cpu"))) is not fits
    assert found("current_decay", dense([[2]], current_decay=101), target(decay_max=99))
    assert not found("current_decay", dense([[2]], current_decay=100), target(decay_max=99))


def test_shared_parameters():
    def net(threshold):
        nodes = list(dense([[2], [2]]))
        fields = {"threshold": np.array(threshold), "voltage_decay": 7}
        nodes[-1] = CubaLif(name="lif", inputs=("fc",), **fields)
        return Graph.build(nodes, 2)

    assert not found("shared_parameters", net([9, 9]), LOIHI2)
    (violation,) = found("shared_parameters", net([9, 8]), LOIHI2)
    assert "threshold" in violation.found
    assert not found("node_kind", net([9, 8]), LOIHI2)  # said once
    assert not found("shared_parameters", net([9, 8]), load_target("lava-cpu"))
