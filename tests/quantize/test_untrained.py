"""Presets with random weights."""

import numpy as np
import pytest
import torch

from sdt_lava.cli.networks import read_network
from sdt_lava.errors import ConfigError
from sdt_lava.ir import Synapse
from sdt_lava.ir.bounds import bound_extremes
from sdt_lava.quantize.report import fits
from sdt_lava.quantize.untrained import untrained_network
from tests.graphs import assert_same_graph


def test_seeded_and_without_side_effects():
    state = torch.random.get_rng_state()
    first, again, other = (untrained_network("digits", seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert_same_graph(first, again)
    name = first.of_type(Synapse)[0].name
    assert not np.array_equal(first.nodes[name].weight, other.nodes[name].weight)
    assert first.metadata["weights"] == "random, seed 0"


@pytest.mark.parametrize("name", ["digits", "cifar-2-256"])
def test_what_the_input_alone_reaches_fits(name):
    net = untrained_network(name)
    bounds = bound_extremes(net)
    assert fits(bounds["patch_embed.proj_lif"])
    assert net.input.high > 1 and net.nodes["patch_embed.proj_lif"].threshold > 1


def test_a_command_takes_a_file_or_a_preset(tmp_path):
    assert read_network(None, "digits").metadata["preset"] == "digits"
    for arguments in ((None, None), (tmp_path / "net.h5", "digits"), (None, "9-999")):
        with pytest.raises(ConfigError):
            read_network(*arguments)
