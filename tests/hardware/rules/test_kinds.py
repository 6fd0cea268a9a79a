"""Rules on kinds of nodes and processes: what a target cannot run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sdt_lava.backends.deployment import compile_network
from sdt_lava.hardware.rules import ERROR, WARNING
from sdt_lava.hardware.targets import load_target
from sdt_lava.ir import CubaLif, Graph, Input, MaxPool, Relay
from tests.graphs import random_sdt_graph
from tests.hardware.rules.cases import LOIHI2, dense, found
from tests.sigma_delta_graphs import random_sigma_delta_chain


def test_node_kind():
    net = random_sdt_graph(np.random.default_rng(0))
    assert not found("node_kind", net, LOIHI2)
    chip = replace(LOIHI2, kinds=tuple(kind for kind in LOIHI2.kinds if kind != "relay"))
    compiled = compile_network(net, chip, shortcut="relay")
    violations = found("node_kind", net, compiled=compiled)
    relays = [relay.name for relay in compiled.graph.of_type(Relay)]
    assert [v.node for v in violations] == relays != []
    assert "--shortcut unrolled" in violations[0].remedy
    assert len(found("node_kind", net, chip)) < len(relays)
    nodes = [
        Input(name="input", shape=(3,)),
        CubaLif(name="lif", inputs=("input",), threshold=2, voltage_decay=9, drive_shift=1),
    ]
    (violation,) = found("node_kind", Graph.build(nodes, 2), LOIHI2)
    assert violation.found == "cuba_lif: a divided input"


def test_process_kind():
    net = dense([[2, -4]])
    assert not found("process_kind", net, LOIHI2)
    chip = replace(LOIHI2, processes=("Dense",))
    assert [(v.node, v.found) for v in found("process_kind", net, chip)] == [("lif", "LIFReset")]
    assert not found("process_kind", net, replace(LOIHI2, processes=()))


def test_sigma_delta_reset():
    """A board runs a stream, of neurons that have run before it arrived."""
    rng = np.random.default_rng(1)
    led, at_rest = (random_sigma_delta_chain(rng, lead=lead) for lead in (True, False))

    def severities(net, chip, *, reset):
        compiled = compile_network(net, chip, reset=reset)
        return [(v.severity, v.remedy) for v in found("sigma_delta_reset", net, compiled=compiled)]

    assert not severities(led, load_target("lava-cpu"), reset=True)
    assert not severities(dense([[2]]), LOIHI2, reset=True)
    ((severity, remedy),) = severities(led, LOIHI2, reset=True)
    assert severity == ERROR and "reset=False" in remedy
    ((severity, _),) = severities(led, LOIHI2, reset=False)
    assert severity == WARNING
    ((severity, remedy),) = severities(at_rest, LOIHI2, reset=False)
    assert severity == ERROR and "lead_in=True" in remedy
    compiled = compile_network(led, LOIHI2, reset=True)
    assert not [v for v in compiled.violations if v.rule == "process_kind"]


def test_max_pool():
    net = random_sdt_graph(np.random.default_rng(0), downsampling="max")
    (violation,) = found("max_pool", net, LOIHI2)
    assert violation.node == net.of_type(MaxPool)[0].name
    assert "--pooling" in violation.remedy
    assert not found("node_kind", net, LOIHI2)  # said once
    assert not found("max_pool", net, load_target("lava-cpu"))
    assert not found("max_pool", random_sdt_graph(np.random.default_rng(0)), LOIHI2)
