"""The torch model against the equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sdt_lava.errors import DataError
from sdt_lava.model import SpikeDrivenTransformer
from tests.families.sdt1.networks import lively_network, random_input, tiny_config
from tests.families.sdt1.numpy_sdt import NumpySdt

# The model computes in float32 and truncates to 1/4096: a decision closer to the threshold than
# two such levels may fall either way, and everything after it may then differ.
BORDERLINE = 2 / 4096

CASES = {
    "stride": ({}, (2, 2, 8, 8)),
    "or": ({"downsampling": "or"}, (2, 2, 8, 8)),
    "max": ({"downsampling": "max"}, (2, 2, 8, 8)),
    "all stages stride": ({"pooling_stat": "1111", "image_size": (16, 32)}, (2, 2, 16, 32)),
    "all stages or": (
        {"pooling_stat": "1111", "image_size": (16, 32), "downsampling": "or"},
        (2, 2, 16, 32),
    ),
    "all stages max": (
        {"pooling_stat": "1111", "image_size": (16, 32), "downsampling": "max"},
        (2, 2, 16, 32),
    ),
    "no pooling": ({"pooling_stat": "0000", "downsampling": "max"}, (2, 2, 5, 6)),
    "odd sides, stride": ({"image_size": (7, 9)}, (2, 2, 7, 9)),
    "odd sides, or": ({"image_size": (7, 9), "downsampling": "or"}, (2, 2, 7, 9)),
    "one token": ({"pooling_stat": "1111", "downsampling": "or"}, (3, 2, 8, 8)),
    "one step": ({"timesteps": 1}, (2, 2, 8, 8)),
    "events": ({"downsampling": "or"}, (2, 6, 2, 8, 8)),
    "dvs mode": ({"dvs_mode": True}, (2, 3, 2, 8, 8)),
    "dvs mode, four heads": ({"dvs_mode": True, "num_heads": 4}, (2, 3, 2, 8, 12)),
    "mlp ratio 1": ({"mlp_ratio": 1.0}, (2, 2, 8, 8)),
    "mlp ratio 1.5": ({"mlp_ratio": 1.5}, (2, 2, 8, 8)),
    "float neuron": ({"neuron": "lif", "downsampling": "max"}, (2, 2, 8, 8)),
    "float neuron, events": ({"neuron": "lif", "dvs_mode": True}, (2, 3, 2, 8, 8)),
    "float neuron, thresholds": (
        {"neuron": "lif", "threshold": 0.75, "attention_threshold": 2.0},
        (2, 2, 8, 8),
    ),
    "thresholds": ({"threshold": 0.75, "attention_threshold": 2.0}, (2, 2, 8, 8)),
}


def first_difference(record, expected, margins):
    """Return the first LIF that differs, after checking that it does so on the border."""
    for name, spikes in expected.items():
        differs = record[name].numpy() != spikes
        if differs.any():
            # A later step of the same neuron only inherits the first difference.
            first = differs & (np.cumsum(differs, axis=0) == 1)
            assert margins[name][first].max() < BORDERLINE, (
                f"{name} differs away from its threshold"
            )
            return name
    return None


@pytest.mark.parametrize("case", CASES)
def test_every_lif_follows_the_equations(case):
    changes, shape = CASES[case]
    config = tiny_config(**changes)
    exact = 0
    for seed in range(3):
        model = lively_network(config, seed)
        x = random_input(shape, seed)
        record = {}
        with torch.no_grad():
            logits = model(x, record)
        oracle = NumpySdt(config, model.state_dict())
        expected = oracle(x)
        assert list(record) == list(oracle.spikes)
        if first_difference(record, oracle.spikes, oracle.margins) is None:
            exact += 1
            np.testing.assert_allclose(logits.numpy(), expected, rtol=1e-5, atol=1e-5)
    assert exact >= 2


def test_the_small_networks_are_not_silent():
    """A comparison of silent layers would prove nothing."""
    model = lively_network(tiny_config())
    record = {}
    model(random_input((4, 2, 8, 8)), record)
    for name, spikes in record.items():
        rate = spikes.float().mean()
        assert rate > 0.02, name
        assert rate < 0.98 or name.endswith("talking_heads_lif"), name


def test_record_names_and_shapes():
    config = tiny_config()
    record = {}
    logits = lively_network(config)(random_input((5, 2, 8, 8)), record)
    assert logits.shape == (5, 3)
    assert record["patch_embed.proj_lif"].shape == (3, 5, 2, 8, 8)
    assert record["patch_embed.proj_lif3"].shape == (3, 5, 16, 2, 2)
    assert record["block.1.attn.talking_heads_lif"].shape == (3, 5, 16)
    assert record["block.1.mlp.fc2_lif"].shape == (3, 5, 32, 2, 2)
    assert record["head_lif"].shape == (3, 5, 16)
    assert {spikes.dtype for spikes in record.values()} == {torch.uint8}
    assert len(record) == 4 + 7 * config.depth + 1


def test_a_count_equal_to_the_attention_threshold_fires():
    """One token with k * v = 1 lands exactly on the threshold 0.5."""
    lif = lively_network(tiny_config()).block[0].attn.talking_heads_lif
    counts = torch.tensor([[[0.0, 1.0, 0.0, 2.0]]])
    assert lif(counts).flatten().tolist() == [0, 1, 0, 1]


def test_an_ordinary_lif_does_not_fire_at_its_threshold():
    lif = lively_network(tiny_config()).head_lif
    assert lif(torch.tensor([[[2.0, 1.0]]])).flatten().tolist() == [0, 0]
    assert lif(torch.tensor([[[2.001, 1.0]]])).flatten().tolist() == [1, 0]


def test_nothing_is_remembered_between_calls():
    model = lively_network(tiny_config())
    x, other = random_input((4, 2, 8, 8)), random_input((4, 2, 8, 8), 9)
    first = {}
    model(x, first)
    # Other batches, steps and image sizes in between; gradients too.
    model(other)
    model(random_input((1, 5, 2, 8, 8))).sum().backward()
    model(random_input((7, 2, 12, 8)))
    again = {}
    model(x, again)
    assert all(torch.equal(first[name], again[name]) for name in first)
    alone = {}
    model(x[2:3], alone)
    assert all(torch.equal(first[name][:, 2:3], alone[name]) for name in first)


def test_a_static_image_is_the_same_as_equal_frames():
    model = lively_network(tiny_config())
    x = random_input((2, 2, 8, 8))
    frames = x[:, None].expand(-1, 3, -1, -1, -1)
    assert torch.equal(model(x), model(frames))


def test_logits_are_the_mean_of_the_steps():
    model = lively_network(tiny_config())
    x = random_input((2, 2, 8, 8))
    steps = model.step_logits(x)
    assert steps.shape == (3, 2, 3)
    assert torch.equal(steps.mean(0), model(x))


def test_heads_matter_only_in_dvs_mode():
    x = random_input((2, 2, 8, 8))
    for dvs_mode in (False, True):
        outputs = [
            lively_network(tiny_config(num_heads=heads, dvs_mode=dvs_mode))(x) for heads in (1, 8)
        ]
        assert torch.equal(*outputs) != dvs_mode


def test_every_weight_gets_a_gradient():
    model = lively_network(tiny_config()).train()
    model(random_input((4, 2, 8, 8))).square().sum().backward()
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            assert weight.grad is not None and weight.grad.abs().sum() > 0, name


def test_parameters_repeat_with_the_seed():
    networks = []
    for _ in range(2):
        torch.manual_seed(5)
        networks.append(SpikeDrivenTransformer(tiny_config()).state_dict())
    assert all(torch.equal(networks[0][name], networks[1][name]) for name in networks[0])


@pytest.mark.parametrize("shape", [(2, 8, 8), (2, 3, 8, 8), (0, 2, 8, 8), (2, 0, 2, 8, 8)])
def test_inputs_that_do_not_fit(shape):
    with pytest.raises(DataError, match="C = 2"):
        lively_network(tiny_config())(torch.zeros(shape))
