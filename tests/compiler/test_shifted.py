"""Convolutions whose sums are shifted to the right: as matrices, and with relays behind them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sdt_lava.backends.deployment import compile_network
from sdt_lava.backends.machine.run import run_machine
from sdt_lava.compiler import lower
from sdt_lava.compiler.compile import shifted_sums
from sdt_lava.compiler.passes.relay_shifted import relay_shifted
from sdt_lava.engine import Engine
from sdt_lava.hardware.targets import load_target
from sdt_lava.ir import Conv, Graph, Input, Lif, Relay, Sparse
from sdt_lava.ir.reference import run_reference
from sdt_lava.report.lowerings import compare_lowerings
from tests.graphs import random_frames, random_sdt_graph

EXPONENTS = {"one": -3, "channels": np.array([-4, 0, -1, 1]), "least": -6}


def graded(seed: int, exponent, *, image=(2, 5, 7), timesteps=3, **options) -> Graph:
    """A random transformer whose first sums are shifted to the right, and thresholds with them."""
    rng = np.random.default_rng(seed)
    net = random_sdt_graph(rng, image=image, channels=4, timesteps=timesteps, low=-40, **options)
    first = next(node for node in net.of_type(Conv) if node.inputs == (net.input.name,))
    channels = np.resize(exponent, len(first.weight)) if np.ndim(exponent) else exponent
    changed = {first.name: replace(first, exponent=channels)}
    for name in net.consumers[first.name]:
        if isinstance(net.nodes[name], Lif):
            threshold = max(net.nodes[name].threshold >> 3, 1)
            changed[name] = replace(net.nodes[name], threshold=threshold, bias=None)
    return net.rebuild([changed.get(node.name, node) for node in net])


def assert_same(net: Graph, compiled, *, alive: bool = True):
    frames = random_frames(np.random.default_rng(0), net, batch=3)
    expected = run_reference(net, frames)
    outputs = run_machine(compiled, frames).outputs
    on_engine = Engine(net).run(frames, net.lif_names)
    fired = 0
    for name in net.lif_names:
        assert np.array_equal(on_engine[name], expected[name]), name
        if name in outputs:
            assert np.array_equal(outputs[name], expected[name]), name
            fired += int(expected[name].sum())
    assert fired or not alive


@pytest.mark.parametrize("exponent", EXPONENTS.values(), ids=EXPONENTS)
@pytest.mark.parametrize("downsampling", ["or", "max", "stride", "subsample", "none"])
def test_relays_send_shifted_sums_on(exponent, downsampling):
    net = graded(3, exponent, downsampling=downsampling)
    on_cpu = compile_network(net)
    assert on_cpu.shifted == () and on_cpu.is_usual
    assert_same(net, on_cpu)
    for shortcut in ("relay", "unrolled"):
        on_chip = compile_network(net, "loihi2", shortcut=shortcut)
        assert on_chip.shifted and not on_chip.is_usual
        for node in on_chip.graph.of_type(Conv):
            assert not np.any(node.exponent)
        assert_same(net, on_chip)
        assert set(on_chip.shifted_notes) <= set(on_chip.notes) and on_cpu.shifted_notes == ()
        for name, note in zip(on_chip.shifted, on_chip.shifted_notes, strict=True):
            neurons = int(np.prod(on_chip.graph.shapes[f"{name}.sum"]))
            assert f"{name}: a relay of {neurons:,} neurons" in note


def test_one_position_one_channel_one_step():
    net = graded(5, -2, image=(1, 1, 1), timesteps=1, downsampling="none")
    assert_same(net, compile_network(net, "loihi2"), alive=False)


def test_large_convolutions_are_relayed_on_the_simulator(monkeypatch):
    monkeypatch.setattr("sdt_lava.compiler.compile.AUTO_UNROLL_LIMIT", 10)
    net = graded(4, -3)
    for convolutions, expected in (("auto", True), ("conv", True), ("sparse", False)):
        compiled = compile_network(net, convolutions=convolutions)
        assert bool(compiled.shifted) == expected
        assert_same(net, compiled)


def test_sums_that_may_leave_24_bits_stay_matrices_on_the_simulator(monkeypatch):
    monkeypatch.setattr("sdt_lava.compiler.compile.AUTO_UNROLL_LIMIT", 10)
    weight = np.full((2, 2, 3, 3), 254)
    nodes = [
        Input(name="x", shape=(2, 4, 4), low=0, high=4000),
        Conv(name="c", inputs=("x",), weight=weight, padding=(1, 1), exponent=-8),
        Lif(name="a", inputs=("c",), threshold=40_000),
    ]
    net = Graph.build(nodes, 2)
    assert compile_network(net).shifted == ()
    assert compile_network(net, "loihi2").shifted == ("c",)


def test_the_relay_is_counted():
    net = graded(6, -3, downsampling="none")
    lowered = lower(net)
    shifted = shifted_sums(lowered, load_target("loihi2"))
    after = relay_shifted(lowered, shifted)
    size = sum(int(np.prod(net.shapes[name])) for name in shifted)
    relays = [node for node in after.of_type(Relay) if node.name.endswith(".sum")]
    links = [node for node in after.of_type(Sparse) if node.inputs[0].endswith(".sum")]
    assert sum(int(np.prod(after.shapes[node.name])) for node in relays) == size
    assert sum(node.weight.nnz for node in links) == size
    assert {node.role for node in links} == {"shortcut"}
    cpu, chip = (compare_lowerings(net, target=target).rows[0] for target in ("lava-cpu", "loihi2"))
    assert (chip.neurons, chip.synapses) == (cpu.neurons + size, cpu.synapses + size)
    assert chip.latency == cpu.latency + 1
