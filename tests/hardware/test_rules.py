"""Every design rule finds what it is for, and nothing at the limit itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from sdt_lava.backends.deployment import compile_network
from sdt_lava.compiler.passes.split_convolutions import split_convolutions
from sdt_lava.engine import Engine
from sdt_lava.hardware.core_map import count_cores
from sdt_lava.hardware.rules import ERROR, RULES, WARNING, RuleContext
from sdt_lava.hardware.targets import LIMITS, Board, Limit, load_target
from sdt_lava.io.netx import load_network
from sdt_lava.ir import Conv, CubaLif, Dense, Graph, Input, Lif, MaxPool, Relay, Sparse
from sdt_lava.ir.bounds import Extremes
from sdt_lava.ir.numerics import lava_weights
from tests.graphs import random_chain, random_frames, random_sdt_graph
from tests.sigma_delta_graphs import random_sigma_delta_chain

LOIHI2 = load_target("loihi2")
# A limit at which none of the small networks here is in the way of any rule.
UNLIMITED = replace(LOIHI2, limits={})


def target(base=UNLIMITED, **limits):
    """A target with a few limits changed."""
    added = {name: Limit(value, "a test") for name, value in limits.items()}
    return replace(base, limits={**base.limits, **added})


def dense(weight, *, source=None, timesteps=2, metadata=None, exponent=0, **lif):
    """Input, one dense layer, its neurons."""
    weight = np.asarray(weight)
    source = source or {"shape": (weight.shape[1],)}
    nodes = [
        Input(name="input", **source),
        Dense(name="fc", inputs=("input",), weight=weight, exponent=exponent),
        Lif(name="lif", inputs=("fc",), **{"threshold": 10, **lif}),
    ]
    return Graph.build(nodes, timesteps, metadata)


def conv(shape=(2, 5, 6), kernel=(3, 3), exponent=0, **fields):
    """Input, one convolution, its neurons."""
    rng = np.random.default_rng(0)
    weight = 2 * rng.integers(-127, 128, (4, shape[0], *kernel))
    nodes = [
        Input(name="input", shape=shape),
        Conv(name="conv", inputs=("input",), weight=weight, exponent=exponent, **fields),
        Lif(name="lif", inputs=("conv",), threshold=100),
    ]
    return Graph.build(nodes, 2)


def found(name, net, chip=UNLIMITED, measured=None, compiled=None):
    """What one rule finds, checked for completeness."""
    compiled = compiled or compile_network(net, chip)
    violations = list(RULES[name].check(RuleContext(compiled, measured or {})))
    for violation in violations:
        assert violation.rule == name
        assert violation.found and violation.allowed and violation.remedy
        assert violation.severity in (ERROR, WARNING)
        assert violation.node in {*compiled.graph.nodes, *compiled.source.nodes, "network"}
    return violations


def test_every_rule_has_a_test_and_names_limits():
    tests = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
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


@pytest.mark.parametrize(
    ("weights", "fits"),
    [
        ([-256, 254], True),
        ([-257, 254], False),
        ([-256, 255], True),
        ([-256, 256], False),
        ([0, 255], True),
        ([0, 256], False),
        ([-255, 0], True),
        ([-256, 0], True),  # halved, with a weight exponent of 1
        ([-257, 0], False),
        ([-256, -1], False),
    ],
)
def test_weight_range(weights, fits):
    assert bool(found("weight_range", dense([weights]), LOIHI2)) is not fits


def test_weight_range_of_every_kind_of_connection():
    assert not found("weight_range", conv(), target(weight_min=-254, weight_max=254))
    net = conv()
    largest = int(net.nodes["conv"].weight.max())
    chip = target(weight_min=-254, weight_max=largest - 1)
    for convolutions in ("conv", "sparse"):
        compiled = compile_network(net, chip, convolutions=convolutions)
        assert [v.node for v in found("weight_range", net, compiled=compiled)] == ["conv"]


@pytest.mark.parametrize(
    ("weights", "fits"),
    [
        ([-254, 254], True),
        ([-2, 253], False),
        ([-127, 3], True),  # doubled, with a weight exponent of -1
        ([-128, 127], True),
        ([-129, 3], False),
        ([1, 253], True),
        ([-1, -253], True),
    ],
)
def test_mixed_weight_step(weights, fits):
    assert bool(found("mixed_weight_step", dense([weights]), LOIHI2)) is not fits


def test_convolutions_have_no_exponent_to_double_weights_with():
    net = conv()
    odd = replace(net.nodes["conv"], weight=net.nodes["conv"].weight // 2)
    net = net.rebuild([odd if node.name == "conv" else node for node in net])
    assert [v.node for v in found("mixed_weight_step", net, LOIHI2)] == ["conv"]
    compiled = compile_network(net, LOIHI2, convolutions="sparse")
    assert not found("mixed_weight_step", net, compiled=compiled)


def drawn_weights(seed):
    rng = np.random.default_rng(seed)
    low, high = sorted(rng.integers(-257, 258, 2))
    return rng.integers(low, high + 1, (3, 4)) // rng.integers(1, 3) * rng.integers(1, 3)


@pytest.mark.parametrize("seed", range(40))
def test_weights_that_pass_are_those_that_the_compiler_stores(seed):
    weights = drawn_weights(seed)
    net = dense(weights)
    passes = not (found("weight_range", net, LOIHI2) + found("mixed_weight_step", net, LOIHI2))
    assert passes == (lava_weights(weights) is not None)


@pytest.mark.lava
@pytest.mark.parametrize("seed", range(40))
def test_lavas_functions_keep_the_weights_that_the_compiler_stores(seed):
    from lava.utils.weightutils import (
        clip_weights,
        determine_sign_mode,
        optimize_weight_bits,
        truncate_weights,
    )

    weights = drawn_weights(seed)
    stored = lava_weights(weights)
    if stored is not None:
        matrix, exponent = stored
        mode = determine_sign_mode(matrix)
        kept = truncate_weights(clip_weights(matrix, mode, 8), mode, 8)
        optimized = optimize_weight_bits(kept, mode)
        total = optimized.weight_exp + exponent
        assert np.array_equal(optimized.weights * 2.0**total, weights)
        assert optimized.num_weight_bits <= 8


def test_zero_weights():
    (violation,) = found("zero_weights", dense([[0, 0]]), LOIHI2)
    assert violation.node == "fc" and violation.severity == WARNING
    assert not found("zero_weights", dense([[0, 1]]), LOIHI2)
    empty = Sparse(
        name="fc", inputs=("input",), weight=csr_matrix((1, 2), dtype=int), shape=(1,), role="x"
    )
    net = dense([[0, 1]])
    net = net.rebuild([empty if node.name == "fc" else node for node in net])
    assert found("zero_weights", net, LOIHI2)


def test_weight_exponent():
    net = dense([[2, -4]], exponent=3)
    assert not found("weight_exponent", net, target(weight_exponent_min=0, weight_exponent_max=3))
    assert found("weight_exponent", net, target(weight_exponent_min=0, weight_exponent_max=2))
    assert found("weight_exponent", net, target(weight_exponent_min=4, weight_exponent_max=7))
    # Odd weights are stored doubled, with an exponent one lower.
    chip = target(LOIHI2, weight_exponent_min=0)
    assert not found("weight_exponent", dense([[2, -4]]), chip)
    assert [v.found for v in found("weight_exponent", dense([[3, -4]]), chip)] == ["-1"]


@pytest.mark.parametrize("exponent", [1, 3, np.array([0, 4, 2, 1])])
def test_conv_exponent(exponent):
    net = conv(exponent=exponent)
    compiled = compile_network(net, UNLIMITED)
    chip = target(conv_exponent_max=int(np.max(exponent)))
    assert not found("conv_exponent", net, compiled=replace(compiled, target=chip))
    chip = target(conv_exponent_max=int(np.max(exponent)) - 1)
    assert found("conv_exponent", net, compiled=replace(compiled, target=chip))
    # The compiler knows the limit, and splits.
    assert not found("conv_exponent", net, target(conv_exponent_max=0))


@pytest.mark.parametrize("exponent", [0, 2, 7, np.array([0, 5, 1, 0])])
def test_split_convolutions_add_up(exponent):
    net = conv(exponent=exponent)
    split = split_convolutions(net)
    parts = split.of_type(Conv)
    assert all(np.abs(part.weight).max() <= 254 and part.exponent == 0 for part in parts)
    assert len(parts) == 1 if np.max(exponent) == 0 else len(parts) > 1
    frames = random_frames(np.random.default_rng(0), net)
    expected, actual = (
        Engine(graph, strict=False).run(frames, keep=("lif",)) for graph in (net, split)
    )
    assert np.array_equal(expected["lif"], actual["lif"])
    assert 0 < expected["lif"].mean() < 1


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


def test_board_capacity():
    net = random_sdt_graph(np.random.default_rng(0))
    crowded = target(LOIHI2, neurons_per_core=64)
    cores = count_cores(compile_network(net, crowded))
    assert cores == len(compile_network(net, crowded).core_map.cores) > 1
    desk = replace(crowded, boards={"desk": Board("desk", 1, "a test")}, default_board="desk")

    def on(chip, board):
        return found("board_capacity", net, compiled=compile_network(net, chip, board=board))

    assert not on(target(desk, cores_per_chip=cores), "desk")
    (violation,) = on(target(desk, cores_per_chip=cores - 1), "desk")
    assert violation.severity == ERROR and "no board is large enough" in violation.remedy
    chip = target(crowded, cores_per_chip=cores - 1)
    assert "--board kapohopoint" in on(chip, "oheogulch")[0].remedy
    assert not on(chip, "kapohopoint")
    assert not on(chip, None)  # nobody asked for a board


@pytest.mark.parametrize(
    ("chip", "severity"),
    [
        # The target does not say what a synapse takes.
        (target(cores_per_chip=1, synapse_memory_per_core=1000), WARNING),
        (target(LOIHI2, axons_in_per_core=1), ERROR),
    ],
)
def test_cores_that_cannot_be_counted(chip, severity):
    net = random_sdt_graph(np.random.default_rng(0))
    compiled = compile_network(net, chip, board="oheogulch")
    (violation,) = found("board_capacity", net, compiled=compiled)
    assert violation.severity == severity


def test_conv_input_size():
    net = conv(shape=(2, 5, 6))
    assert not found("conv_input_size", net, target(conv_input_reported=60))
    (violation,) = found("conv_input_size", net, target(conv_input_reported=59))
    assert violation.severity == WARNING


def test_conv_width():
    net = conv(shape=(2, 5, 6))
    assert not found("conv_width", net, target(conv_width_reported=6))
    (violation,) = found("conv_width", net, target(conv_width_reported=5))
    assert violation.severity == WARNING


def test_lif_scaling():
    net = dense([[2]])
    (violation,) = found("lif_scaling", net, LOIHI2)
    assert violation.node == "network" and violation.severity == WARNING
    assert not found("lif_scaling", net, load_target("lava-cpu"))
    assert not found("lif_scaling", net, target(lif_scaling_reported=0))


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
    path = Path(__file__).resolve().parents[1] / "data/netx" / f"{name}.net"
    violations = compile_network(load_network(path, 8), "loihi2").violations
    assert {v.rule for v in violations if v.severity == ERROR} == STOCK[name]
