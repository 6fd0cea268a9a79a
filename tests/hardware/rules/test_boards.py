"""Rules on boards: cores and chips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sdt_lava.backends.deployment import compile_network
from sdt_lava.hardware.core_map import count_cores
from sdt_lava.hardware.rules import ERROR, WARNING
from sdt_lava.hardware.targets import Board
from tests.graphs import random_sdt_graph
from tests.hardware.rules.cases import LOIHI2, found, target


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
