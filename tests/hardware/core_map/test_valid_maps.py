"""Core maps of random networks under random limits, checked by an independent validator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdt_lava.backends.deployment import compile_network
from sdt_lava.errors import CompileError
from sdt_lava.hardware.core_map import map_cores
from sdt_lava.hardware.targets import load_target
from sdt_lava.ir import CubaLif, Dense, Graph, Input
from tests.graphs import random_chain, random_sdt_graph
from tests.hardware.core_map.targets import KINDS, small_target
from tests.hardware.core_map.validator import validate

LIMITS = {
    "neurons_per_core": (4, 60),
    "neuron_groups_per_core": (1, 5),
    "synapse_memory_per_core": (200, 4000),
    "axons_in_per_core": (20, 300),
    "axons_out_per_core": (10, 200),
    "messages_per_core": (20, 400),
    "cores_per_chip": (1, 9),
    "synapse_memory_unit": (1, 9),
    "axon_destinations": (1, 5),
    "shared_delay_max": (0, 3),
}
limits = st.fixed_dictionaries(
    {}, optional={name: st.integers(*ends) for name, ends in LIMITS.items()}
)


def sdt(rng, **options):
    choices = {
        "image": (int(rng.integers(1, 3)), int(rng.integers(1, 6)), int(rng.integers(1, 6))),
        "channels": 2 * int(rng.integers(1, 4)),
        "downsampling": str(rng.choice(["or", "stride", "subsample", "none"])),
        "dilation_heads": int(rng.integers(2)),
    }
    return random_sdt_graph(rng, **{**choices, **options})


def chain(rng, **options):
    image = (int(rng.integers(1, 4)), int(rng.integers(3, 8)), int(rng.integers(3, 8)))
    convs = tuple(int(channels) for channels in rng.integers(1, 6, 2))
    return random_chain(rng, **{"image": image, "convs": convs, "denses": (5, 3), **options})


def check(compiled, target):
    try:
        core_map = map_cores(compiled, target)
    except CompileError as error:
        assert "a single neuron needs" in str(error)
        return None
    validate(core_map, compiled)
    return core_map


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), limits, st.sampled_from(["conv", "auto"]))
def test_chains_keep_every_limit(seed, stated, convolutions):
    graph = chain(np.random.default_rng(seed))
    check(compile_network(graph, convolutions=convolutions), small_target(**stated))


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), limits, st.sampled_from(["relay", "unrolled"]))
def test_transformers_keep_every_limit(seed, stated, shortcut):
    graph = sdt(np.random.default_rng(seed))
    compiled = compile_network(graph, convolutions="conv", shortcut=shortcut)
    check(compiled, small_target(**stated))


@pytest.mark.parametrize(
    "options",
    [
        {"image": (1, 1, 1)},
        {"image": (1, 5, 3), "channels": 2, "downsampling": "or"},
        {"image": (2, 4, 5), "dilation_heads": 2, "channels": 4},
        {"timesteps": 1},
        {"blocks": 2, "image": (1, 3, 4)},
    ],
    ids=["one pixel", "odd", "dilation", "one step", "two blocks"],
)
@pytest.mark.parametrize("sdsa", ["and", "auto"])
def test_shapes(options, sdsa):
    graph = sdt(np.random.default_rng(3), **options)
    compiled = compile_network(graph, convolutions="conv", sdsa=sdsa)
    target = small_target(
        neurons_per_core=16, axons_in_per_core=300, axons_out_per_core=64, cores_per_chip=4
    )
    assert check(compiled, target) is not None


@pytest.mark.parametrize("name", ["loihi2", "loihi1"])
def test_built_in_targets(name):
    target = load_target(name)
    graph = chain(np.random.default_rng(1), low=0, high=1)
    compiled = compile_network(graph, target)
    core_map = map_cores(compiled)
    validate(core_map, compiled)
    assert core_map.target is target and core_map.chips == 1 and core_map.fits


@pytest.mark.parametrize("seed", range(3))
def test_recurrent_neurons_reach_their_own_cores(seed):
    rng = np.random.default_rng(seed)
    weight = 2 * rng.integers(-9, 10, (10, 6))
    recurrent = CubaLif(
        name="neurons",
        inputs=("fc",),
        threshold=20,
        voltage_decay=2048,
        weight_rec=2 * rng.integers(-3, 4, (10, 10)),
    )
    nodes = [Input(name="x", shape=(6,)), Dense(name="fc", inputs=("x",), weight=weight), recurrent]
    compiled = compile_network(Graph.build(nodes, 4))
    kinds = (*KINDS, "cuba_lif")
    core_map = check(compiled, small_target(kinds=kinds, neurons_per_core=3, axons_out_per_core=20))
    assert len(core_map.cores) == 4
    # Each of the ten neurons sends to its own core, to the three others and to the host.
    traffic = core_map.traffic()
    assert (traffic.within_core, traffic.between_cores, traffic.to_host) == (10, 30, 10)


def test_without_limits_everything_is_on_one_core():
    graph = chain(np.random.default_rng(0))
    compiled = compile_network(graph, convolutions="conv")
    core_map = map_cores(compiled, small_target())
    validate(core_map, compiled)
    assert (len(core_map.cores), core_map.chips, core_map.boards) == (1, 1, 1)
    assert core_map.utilisation == {}
    assert {layer.binding for layer in core_map.layers} == {"none"}


def test_the_same_arguments_give_the_same_map():
    graph = sdt(np.random.default_rng(5), image=(2, 4, 4))
    compiled = compile_network(graph, convolutions="conv")
    target = small_target(neurons_per_core=12, cores_per_chip=4)
    first, second = (map_cores(compiled, target, seed=1).to_dict(per_core=True) for _ in range(2))
    assert first == second


def test_a_convolution_written_as_a_matrix_is_mapped_as_a_convolution():
    graph = chain(np.random.default_rng(7))
    target = small_target(neurons_per_core=20)
    maps = [
        map_cores(compile_network(graph, convolutions=way), target).to_dict()
        for way in ("conv", "sparse")
    ]
    assert maps[0] == maps[1]
    kinds = {c["kind"] for layer in maps[1]["layers"] for c in layer["connections"]}
    assert kinds == {"conv", "dense"}
