"""Rules on wiring: delays, fan-in and fan-out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sdt_lava.backends.deployment import compile_network
from sdt_lava.hardware.rules import WARNING
from tests.graphs import random_sdt_graph
from tests.hardware.rules.cases import LOIHI2, conv, dense, found, target


def test_delay():
    net = random_sdt_graph(np.random.default_rng(0))
    compiled = compile_network(net, LOIHI2)
    longest = max(compiled.schedule.delay.values())
    assert longest > 1
    at_limit = replace(compiled, target=target(delay_max=longest))
    assert not found("delay", net, compiled=at_limit)
    over = replace(compiled, target=target(delay_max=longest - 1))
    assert {v.found for v in found("delay", net, compiled=over)} == {f"{longest} steps"}


def test_split_delay():
    """The compiler splits what is longer than the target's delays, and says so."""
    net = random_sdt_graph(np.random.default_rng(0))
    longest = max(compile_network(net, LOIHI2).schedule.delay.values())
    assert not found("split_delay", net, target(delay_max=longest))
    violations = found("split_delay", net, target(delay_max=longest - 1))
    assert violations and all(v.severity == WARNING for v in violations)
    assert not found("delay", net, target(delay_max=longest - 1))


def test_conv_delay():
    compiled = compile_network(conv(), LOIHI2)
    assert not found("conv_delay", None, compiled=compiled)
    late = replace(compiled.schedule, delay={"conv": 1})
    (violation,) = found("conv_delay", None, compiled=replace(compiled, schedule=late))
    assert violation.node == "conv"


def test_a_convolution_that_waits_becomes_a_matrix_if_that_is_small(monkeypatch):
    net = random_sdt_graph(np.random.default_rng(0))
    compiled = compile_network(net, LOIHI2, shortcut="unrolled")
    assert not found("conv_delay", net, compiled=compiled)
    monkeypatch.setattr("sdt_lava.compiler.compile.AUTO_UNROLL_LIMIT", 10)
    compiled = compile_network(net, LOIHI2, shortcut="unrolled")
    assert found("conv_delay", net, compiled=compiled)


FAN_IN = [
    (dense(np.full((2, 7), 2)), 7),
    (conv(), 2 * 9),
    (conv(padding=(1, 1)), 2 * 9),
    (conv(shape=(2, 1, 1), padding=(1, 1)), 2),
    (conv(shape=(2, 2, 9), padding=(1, 1), stride=(2, 3), dilation=(1, 2)), 2 * 2 * 3),
]


@pytest.mark.parametrize(("net", "most"), FAN_IN)
@pytest.mark.parametrize("convolutions", ["conv", "sparse"])
def test_fan_in(net, most, convolutions):
    for limit, is_over in ((most, False), (most - 1, True)):
        compiled = compile_network(net, target(fan_in_max=limit), convolutions=convolutions)
        assert bool(found("fan_in", net, compiled=compiled)) is is_over


def test_axons():
    """The stream's neurons read two branches: their sources add up."""
    net = random_sdt_graph(np.random.default_rng(0), channels=8)
    reader = "block.0.mlp.shortcut"  # identity of the stream, and 16 hidden neurons
    assert reader not in {v.node for v in found("axons", net, target(axons_in_per_core=17))}
    violations = {v.node: v for v in found("axons", net, target(axons_in_per_core=16))}
    assert "17 sources" in violations[reader].found


def test_fan_out():
    net = dense(np.full((5, 2), 2))
    assert not found("fan_out", net, target(fan_out_max=5))
    assert [v.node for v in found("fan_out", net, target(fan_out_max=4))] == ["input"]
    stream = random_sdt_graph(np.random.default_rng(0), channels=8)
    # q, k and v read it, 8 channels each.
    fans = {v.node: v.found for v in found("fan_out", stream, target(fan_out_max=1))}
    assert fans["block.0.attn.lif"].startswith("24 ")
