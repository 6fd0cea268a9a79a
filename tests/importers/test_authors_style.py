"""The authors' arrangement of the network gives the graph of its checkpoint's import."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sdt_lava.families import load_model
from sdt_lava.importers import trace
from tests.families.sdt1.official_cases import (
    CASES,
    golden,
    official_config,
    official_content,
    official_state,
    save,
)
from tests.importers.authors_style import AuthorsSdt

CONFIGS = {
    "static": {},
    "all pooled": {"pooling_stat": "1111", "image_size": (32, 48)},
    "one token": {"pooling_stat": "1111", "image_size": (16, 16)},
    "one step": {"timesteps": 1},
    "one head": {"num_heads": 1, "in_channels": 1},
    "many heads": {"num_heads": 16, "depth": 1},
    "inner shortcut": {"mlp_ratio": 1.0},
    "dilations": {"dvs_mode": True, "dataset": "cifar10-dvs", "image_size": (16, 24)},
    "dilations in one head": {"dvs_mode": True, "dataset": "cifar10-dvs", "num_heads": 1},
}


def assert_same(traced, imported):
    """Nodes are equal; biases to within the one rounding that an import makes."""
    assert set(traced.nodes) == set(imported.nodes)
    assert traced.timesteps == imported.timesteps
    for name, node in imported.nodes.items():
        other = traced.nodes[name]
        assert type(other) is type(node), name
        if name == "input":
            assert other.shape == node.shape
            continue
        for field, value in vars(node).items():
            found = getattr(other, field)
            if field == "bias" and value is not None:
                np.testing.assert_allclose(found, value, rtol=0, atol=2e-6, err_msg=name)
            elif isinstance(value, np.ndarray):
                assert np.array_equal(found, value), (name, field)
            else:
                assert found == value, (name, field)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("is_event", [False, True])
def test_same_graph_as_the_import(name, is_event, tmp_path):
    config = official_config(**CONFIGS[name])
    checkpoint = save(tmp_path / "model.pth.tar", official_content(config))
    network = AuthorsSdt(config)
    state = official_state(config)
    missing = network.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys
    assert all("talking_heads.weight" in key for key in missing.missing_keys)
    shape = (config.in_channels, *config.image_size)
    steps = (config.timesteps,) if is_event else ()
    graph = trace(network, torch.rand(1, *steps, *shape))
    assert_same(graph, trace(load_model(checkpoint, config)))
    unused = graph.metadata["trace"]["parameters without effect"]
    assert {key.rpartition("attn.")[2] for key in unused} == {"talking_heads.weight"}
    assert "block.0.attn.attn_lif" in graph.metadata["trace"]["modules never called"]


@pytest.mark.parametrize("name", CASES)
def test_recorded_networks(name):
    case = golden(name)
    model = load_model(case.checkpoint)
    network = AuthorsSdt(model.config)
    state = torch.load(case.checkpoint, weights_only=False)["state_dict"]
    network.load_state_dict(state, strict=False)
    assert_same(trace(network, case.x), trace(model))
