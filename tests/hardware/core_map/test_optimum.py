"""Core maps and placements of tiny networks against all that are possible."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from sdt_lava.backends.deployment import compile_network
from sdt_lava.errors import CompileError
from sdt_lava.hardware.core_map import map_cores, placement
from sdt_lava.hardware.core_map.geometry import ChipMesh
from sdt_lava.hardware.core_map.placement import Links, place
from sdt_lava.hardware.targets import Board
from sdt_lava.ir import Lif
from tests.graphs import GraphMaker
from tests.hardware.core_map.brute_force import cheapest_placement, fewest_cores
from tests.hardware.core_map.targets import small_target
from tests.hardware.core_map.validator import Placement, expand, validate

LIMITS = {
    "neurons_per_core": (2, 6),
    "neuron_groups_per_core": (1, 3),
    "synapse_memory_per_core": (4, 40),
    "axons_in_per_core": (3, 10),
    "axons_out_per_core": (2, 10),
    "messages_per_core": (3, 14),
}
# Slices are boxes, so that an optimum of any other shape can be missed: never by more than half.
WORST_RATIO = 1.5


def tiny_network(rng):
    """At most eight neurons in one to three layers, dense or convolutional."""
    maker = GraphMaker(rng, biases=False)
    depth = int(rng.integers(1, 4))
    if rng.random() < 0.4:
        last, left = maker.input((int(rng.integers(1, 4)),)), 8
        for index in range(depth):
            size = int(rng.integers(1, min(6, left - (depth - index - 1)) + 1))
            left -= size
            last = maker.lif(f"lif{index}", maker.dense(f"fc{index}", last, size))
        return maker.graph(2)
    height, width = (int(side) for side in rng.integers(1, 4, 2))
    last = maker.input((int(rng.integers(1, 3)), height, width))
    depth = min(depth, max(1, 8 // (height * width)))
    channels = max(1, 8 // (height * width * depth))
    for index in range(depth):
        side = int(rng.choice([1, 3]))
        padding = (side // 2, side // 2)
        current = maker.conv(f"conv{index}", last, channels, (side, side), padding=padding)
        last = maker.lif(f"lif{index}", current)
    return maker.graph(2)


def tiny_limits(rng):
    drawn = {name: int(rng.integers(*ends)) for name, ends in LIMITS.items()}
    return {name: value for name, value in drawn.items() if rng.random() < 0.6}


def compare(seed):
    """Return our number of cores and the least possible one; None for impossible."""
    rng = np.random.default_rng(seed)
    compiled = compile_network(tiny_network(rng), convolutions="conv")
    target = small_target(**tiny_limits(rng))
    try:
        core_map = map_cores(compiled, target)
    except CompileError:
        return None, _least_of_any_storage(compiled, target)
    return len(core_map.cores), fewest_cores(validate(core_map, compiled), target)


def _least_of_any_storage(compiled, target):
    graph = compiled.graph
    connections = {name: graph.nodes[name].kind for name in compiled.schedule.delay}
    wires = expand(compiled, connections)
    core = {n.name: [0] * int(np.prod(graph.shapes[n.name])) for n in graph.of_type(Lif)}
    found = [
        fewest_cores(Placement(compiled, wires, core, shared), target)
        for shared in (set(), {wire.name for wire in wires if wire.kernel})
    ]
    return min((cores for cores in found if cores is not None), default=None)


@pytest.mark.parametrize(
    "seeds",
    [range(12), pytest.param(range(12, 36), marks=pytest.mark.slow)],
    ids=["few", "many"],
)
def test_cores_against_every_partition_of_the_neurons(seeds):
    found = [compare(seed) for seed in seeds]
    feasible = [(ours, least) for ours, least in found if ours is not None]
    assert all(least is None for ours, least in found if ours is None), "a map was missed"
    assert all(least <= ours <= WORST_RATIO * least for ours, least in feasible)
    equal = sum(ours == least for ours, least in feasible)
    assert len(feasible) >= 0.8 * len(found)
    assert equal >= 0.9 * len(feasible), (equal, len(feasible))


def random_links(rng, cores):
    messages = np.triu(rng.integers(0, 20, (cores, cores)) * (rng.random((cores, cores)) < 0.6), 1)
    return messages + messages.T


@pytest.mark.parametrize(("chips", "per_chip"), [(2, 3), (3, 2), (6, 1), (2, 2), (7, 1), (1, 5)])
@pytest.mark.parametrize("seed", range(4))
def test_placements_against_every_permutation(chips, per_chip, seed):
    cores = chips * per_chip
    messages = random_links(np.random.default_rng(seed), cores)
    distances = ChipMesh(Board("mesh", chips, "test"), chips).distances
    links = Links(csr_matrix(messages))
    chip = place(links, distances, per_chip)
    assert np.array_equal(np.bincount(chip, minlength=chips), np.full(chips, per_chip))
    assert links.cost(chip, distances) == cheapest_placement(messages, distances, per_chip)


@pytest.mark.parametrize("limit", ["_MOST_CHIPS", "_MOST_PAIRS", "_MOST_TRIES"])
def test_large_maps_are_placed_without_exchanges(monkeypatch, limit):
    monkeypatch.setattr(placement, limit, 0)
    links = Links(csr_matrix(random_links(np.random.default_rng(0), 12)))
    distances = ChipMesh(Board("mesh", 4, "test"), 4).distances
    chip = place(links, distances, 3)
    assert np.array_equal(np.bincount(chip), [3, 3, 3, 3])


def test_free_places_are_used():
    """Two pairs that talk to each other, three places a chip: no pair is torn apart."""
    messages = np.zeros((4, 4), int)
    messages[[0, 2, 1, 3], [2, 0, 3, 1]] = 5
    distances = ChipMesh(Board("mesh", 2, "test"), 2).distances
    links = Links(csr_matrix(messages))
    chip = place(links, distances, 3)
    assert links.cost(chip, distances) == 0 and chip.max() == 1
