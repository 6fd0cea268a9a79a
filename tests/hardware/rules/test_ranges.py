"""Rules on ranges: activations, states and payloads, proved or measured."""

from __future__ import annotations

import numpy as np
import pytest

from sdt_lava.hardware.rules import ERROR, WARNING
from sdt_lava.ir.bounds import Extremes
from tests.graphs import random_chain, random_sdt_graph
from tests.hardware.rules.cases import LOIHI2, dense, found, target


def test_activation():
    net = dense([[100, 20, -30]])
    assert not found("activation", net, target(activation_max=120))
    (violation,) = found("activation", net, target(activation_max=119))
    assert violation.node == "lif" and violation.severity == ERROR
    assert "120" in violation.found


def test_state_width():
    # v leaks half, and is at the threshold at most when 100 arrives: 50 / 2 + 100.
    net = dense([[100]], threshold=50)
    assert not found("state_width", net, target(state_max=125 << 6))
    assert found("state_width", net, target(state_max=(125 << 6) - 1))


def test_what_is_not_proved_may_be_measured():
    net, chip = dense([[100]], threshold=50), target(activation_max=99)
    unknown = found("activation", net, chip)
    fine = found("activation", net, chip, measured={"lif": Extremes(99, 1)})
    over = found("activation", net, chip, measured={"lif": Extremes(100, 1)})
    assert [v[0].severity for v in (unknown, fine, over)] == [ERROR, WARNING, ERROR]


def reported(evidence, headroom):
    """What an export wrote into a file about the neurons."""
    row = {"name": "lif", "evidence": evidence, "headroom": headroom}
    return {"quantization": {"neurons": [row]}}


@pytest.mark.parametrize(
    ("metadata", "severity"),
    [
        ({"weights": "random, seed 0"}, WARNING),
        (reported("measured", 1.5), WARNING),
        (reported("measured", 0.5), ERROR),
        (reported("proved", 1.5), ERROR),
        (reported("measured", "many"), ERROR),
        ({"quantization": {"neurons": [3, {"name": "lif"}]}}, ERROR),
        ({"quantization": [1], "weights": 7}, ERROR),
    ],
)
def test_what_a_file_says_of_its_export_counts_if_it_was_measured(metadata, severity):
    net = dense([[100]], metadata=metadata)
    (violation,) = found("activation", net, target(activation_max=99))
    assert violation.severity == severity


def test_payload():
    net = dense([[2]], source={"shape": (1,), "low": -300, "high": 5})
    assert not found("payload", net, target(payload_max=300))
    (violation,) = found("payload", net, target(payload_max=299))
    assert violation.node == "input" and violation.severity == ERROR
    stream = random_sdt_graph(np.random.default_rng(0))
    assert not found("payload", stream, LOIHI2)
    sources = {v.node for v in found("payload", stream, target(payload_max=1))}
    assert "patch.shortcut" in sources and "block.0.attn.lif" not in sources


def test_message_bits():
    stream = random_sdt_graph(np.random.default_rng(0))
    assert not found("message_bits", stream, target(message_bits_max=24))
    violations = found("message_bits", stream, target(message_bits_max=23))
    assert violations and all("24 bits" in v.found for v in violations)
    assert not found("message_bits", random_chain(np.random.default_rng(0)), target())
