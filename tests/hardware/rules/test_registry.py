"""All rules together: each has a test, and the networks that fit break none."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from sdt_lava.backends.deployment import compile_network
from sdt_lava.hardware.rules import ERROR, RULES
from sdt_lava.hardware.targets import LIMITS
from sdt_lava.io.netx import load_network
from tests.graphs import random_sdt_graph
from tests.hardware.rules.cases import dense


def test_every_rule_has_a_test_and_names_limits():
    sources = (path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    tests = {name for source in sources for name in re.findall(r"^def test_(\w+)", source, re.M)}
    assert set(RULES) <= tests
    for rule in RULES.values():
        assert set(rule.limits) <= set(LIMITS)
        assert rule.summary.endswith(".")


def test_every_limit_of_a_range_belongs_to_a_rule():
    """The others are limits of a core, which the core map keeps, and times of the schedule."""
    ruled = {limit for rule in RULES.values() for limit in rule.limits}
    others = ("_unit", "_bits", "_latency", "_destinations", "shared_delay_max")
    core = {name for name in LIMITS if "core" in name or name.endswith(others)}
    assert set(LIMITS) - core <= ruled


def test_errors_come_first():
    net = dense([[0, 0], [0, 0]], threshold=10**6)
    violations = compile_network(net, "loihi2").violations
    assert [v.severity for v in violations] == sorted(v.severity for v in violations)
    assert {v.rule for v in violations} >= {"threshold", "zero_weights"}


@pytest.mark.parametrize("name", ["loihi2", "lava-cpu"])
def test_a_network_that_fits_has_no_errors(name):
    net = random_sdt_graph(np.random.default_rng(0))
    assert not [v for v in compile_network(net, name).violations if v.severity == ERROR]


STOCK = {
    "dense-delays": {"node_kind"},
    "graded": {"voltage_decay"},
    "image-neurons": set(),
    "own-decays": {"shared_parameters"},
    "recurrent": {"node_kind"},
    "thresholds": set(),
    "tinynet/network": set(),
    "windows": {"voltage_decay"},
}


@pytest.mark.parametrize("name", STOCK)
def test_stock_networks(name):
    """What lava-dl's own export can hold, and Loihi 2 cannot, is said by name."""
    path = Path(__file__).resolve().parents[2] / "data/netx" / f"{name}.net"
    violations = compile_network(load_network(path, 8), "loihi2").violations
    assert {v.rule for v in violations if v.severity == ERROR} == STOCK[name]
