"""Import of checkpoints in the authors' layout: names, shapes, and spikes of random networks."""

from __future__ import annotations

import logging
from argparse import Namespace
from itertools import product

import numpy as np
import pytest
import torch

from sdt_lava.errors import CheckpointError, ConfigError
from sdt_lava.families import load_model, load_with_report, save_checkpoint
from sdt_lava.model import SdtConfig
from tests.families.sdt1.numpy_sdt import NumpySdt
from tests.families.sdt1.official_cases import (
    YML,
    official_config,
    official_content,
    official_state,
    save,
    write_yml,
)

# Channels of tiny variance magnify the rounding of float32 a few hundred times.
BORDERLINE = 2e-4

NETWORKS = {
    "mlp ratio 1": {"mlp_ratio": 1.0},
    "mlp ratio 1.5": {"mlp_ratio": 1.5},
    "dvs mode": {"dvs_mode": True, "dataset": "cifar10-dvs"},
    "dvs mode, one head": {"dvs_mode": True, "num_heads": 1, "dataset": "cifar10-dvs"},
    "not square": {"image_size": (8, 24)},
    "three blocks, one step": {"depth": 3, "timesteps": 1},
}
POOLINGS = ["".join(flags) for flags in product("01", repeat=4)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model_best.pth.tar"


def assert_same_spikes(path, config, seeds, batch=2):
    """Compare with the equations in float64, evaluated on the authors' tensors."""
    exact = 0
    for seed in seeds:
        state = official_state(config, seed)
        model = load_model(save(path, {"state_dict": state}), config)
        shape = (batch, config.in_channels, *config.image_size)
        x = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 4 - 1
        record = {}
        with torch.no_grad():
            logits = model(x, record).numpy()
        oracle = NumpySdt(config, state)
        expected = oracle(x.numpy())
        difference = first_difference(record, oracle)
        if difference is None:
            exact += 1
            np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
    assert exact >= 1
    return record


def first_difference(record, oracle):
    for name, expected in oracle.spikes.items():
        differs = record[name].numpy() != expected
        if differs.any():
            first = differs & (np.cumsum(differs, axis=0) == 1)
            assert oracle.margins[name][first].max() < BORDERLINE, name
            return name
    return None


@pytest.mark.parametrize("case", NETWORKS)
def test_random_networks(case, path):
    record = assert_same_spikes(path, official_config(**NETWORKS[case]), range(3))
    for name, spikes in record.items():
        assert spikes.any(), name


@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_combination_of_pooling(pooling, path):
    assert_same_spikes(path, official_config(pooling_stat=pooling, depth=1), range(2), batch=1)


def test_event_frames(path):
    config = official_config(dvs_mode=True)
    model = load_model(save(path, {"state_dict": official_state(config)}), config)
    x = torch.randint(0, 4, (2, 5, 2, 16, 16), generator=torch.Generator().manual_seed(0)).float()
    record = {}
    with torch.no_grad():
        model(x, record)
    oracle = NumpySdt(config, official_state(config))
    oracle(x.numpy())
    first_difference(record, oracle)
    assert record["head_lif"].shape[0] == 5


# -- layouts ---------------------------------------------------------------------------------------


def outputs(model):
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        return model(torch.rand((2, *input_shape(model.config)), generator=generator) * 3)


def input_shape(config: SdtConfig):
    return (config.in_channels, *config.image_size)


def test_all_layouts_of_the_same_weights(tmp_path):
    config = official_config()
    content = official_content(config)
    state = content["state_dict"]
    prefixed = {f"module.{name}": value for name, value in state.items()}
    expected = outputs(load_model(save(tmp_path / "a", content)))
    for layout in (
        state,
        {"state_dict": state},
        {"state_dict": prefixed},
        prefixed,
        {**content, "state_dict": prefixed},
        {**content, "args": vars(content["args"])},
        {**content, "args": None},
        {"state_dict": {name: value.double() for name, value in state.items()} | counters(state)},
    ):
        assert torch.equal(outputs(load_model(save(tmp_path / "b", layout), config)), expected)


def counters(state):
    return {name: value for name, value in state.items() if name.endswith("tracked")}


def test_dead_weights_are_left_out_and_reported(path, caplog):
    content = official_content(official_config(depth=1))
    content["state_dict"]["block.0.attn.attn_lif.w"] = torch.tensor(0.3)
    expected = outputs(load_model(save(path, official_content(official_config(depth=1)))))
    with caplog.at_level(logging.INFO, logger="sdt_lava"):
        model, report = load_with_report(save(path, content))
    assert torch.equal(outputs(model), expected)
    assert set(report.unused) == {
        "block.0.attn.talking_heads.weight",
        "block.0.attn.attn_lif.w",
    }
    assert report.weights == "state_dict"
    for text in (caplog.text, "\n".join(report.lines())):
        assert "talking_heads" in text and "attn_lif" in text and "args" in text


def test_networks_without_dead_weights(path):
    state = official_state(official_config())
    state = {name: value for name, value in state.items() if "talking_heads" not in name}
    model, report = load_with_report(save(path, state), official_config(num_heads=2))
    assert report.unused == () and model.config.num_heads == 2


def test_moving_average(path):
    config = official_config()
    content = official_content(config, state_dict_ema=official_state(config, seed=1))
    save(path, content)
    other = outputs(load_model(save(path.with_suffix(".1"), official_content(config, seed=1))))
    assert torch.equal(outputs(load_model(path, ema=True)), other)
    assert not torch.equal(outputs(load_model(path)), other)
    assert load_with_report(path, ema=True)[1].weights == "state_dict_ema"
    del content["state_dict"]
    assert torch.equal(outputs(load_model(save(path, content), ema=True)), other)
    with pytest.raises(CheckpointError, match="pass --ema"):
        load_model(path)


def test_a_moving_average_that_is_not_there(path, tmp_path):
    config = official_config()
    for content in (official_content(config), official_state(config)):
        with pytest.raises(CheckpointError, match="no state_dict_ema"):
            load_model(save(path, content), config, ema=True)
    save_checkpoint(tmp_path / "own.pt", load_model(path, config))
    with pytest.raises(CheckpointError, match="no state_dict_ema"):
        load_model(tmp_path / "own.pt", ema=True)


def test_an_imported_network_is_saved_as_our_own(path, tmp_path):
    model = load_model(save(path, official_content(official_config())))
    save_checkpoint(tmp_path / "model.pt", model)
    again, report = load_with_report(tmp_path / "model.pt")
    assert report is None and again.config == model.config
    assert torch.equal(outputs(again), outputs(model))


def test_our_own_state_dict_is_still_ours(path):
    config = official_config(neuron="cuba", downsampling="or")
    model = load_model(save(path, official_state(config)), config)
    torch.save(model.state_dict(), path)
    loaded, report = load_with_report(path, config)
    assert report is None and loaded.config == config


# -- what does not fit -----------------------------------------------------------------------------


def refused(path, state, said, config=None, error=CheckpointError):
    content = official_content(official_config(), state_dict=state)
    with pytest.raises(error, match=said) as caught:
        load_model(save(path, content), config)
    return str(caught.value)


def test_every_name_that_does_not_fit_is_listed(path):
    state = official_state(official_config())
    del state["patch_embed.rpe_conv.weight"]
    del state["block.1.mlp.fc2_conv.bias"]
    state["patch_embed.surprise.weight"] = torch.ones(2)
    state["head.bias"] = torch.ones(4)
    state["block.0.attn.q_conv.weight"] = torch.ones(16, 16, 3, 3)
    message = refused(path, state, "missing tensors")
    for name in ("rpe_conv.weight", "block.1.mlp.fc2_conv.bias", "surprise", "head.bias", "q_conv"):
        assert name in message
    for part in ("unexpected tensors", "wrong shape", "(4,) instead of (3,)"):
        assert part in message


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in sorted(official_state(official_config(depth=1)))
        if "talking_heads" not in name and "num_batches_tracked" not in name
    ],
)
def test_no_tensor_may_be_missing(name, path):
    state = official_state(official_config())
    del state[name]
    assert name in refused(path, state, "missing tensors")


@pytest.mark.parametrize(
    "name",
    ["patch_embed.proj_lif.w", "block.1.attn.q_lif.w", "head_lif.w", "block.0.mlp.fc1_lif.w"],
)
def test_learned_time_constants_are_refused_by_name(name, path):
    state = {**official_state(official_config()), name: torch.tensor(0.0)}
    assert name in refused(path, state, "plif")
    prefixed = {f"module.{key}": value for key, value in state.items()}
    assert name in refused(path, prefixed, "plif")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("head.bias", torch.full((3,), float("nan")), "NaN"),
        ("block.0.mlp.fc1_conv.bias", torch.full((32,), float("inf")), r"fc1_conv\.bias: NaN"),
        ("block.0.attn.q_bn.running_var", torch.full((16,), -1.0), "negative variances"),
        ("head.bias", torch.ones(3, dtype=torch.int32), "dtype"),
        ("block.0.attn.proj_conv.bias", torch.ones(16, dtype=torch.int64), "dtype"),
        ("head.bias", [1.0, 2.0, 3.0], r"entries 'head\.bias'"),
        (5, torch.ones(1), "entries '5'"),
        ("module.head.bias", torch.ones(3), "with and without 'module.'"),
    ],
)
def test_values_that_cannot_be(name, value, said, path):
    refused(path, {**official_state(official_config()), name: value}, said)


@pytest.mark.parametrize("state", [None, [torch.ones(1)], {}, 5])
def test_weights_that_are_none(state, path):
    refused(path, state, "weights that are|missing tensors")


# -- configuration against weights -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dim": 32}, r"dim is 32 in .* and 16 in the weights \(patch_embed"),
        ({"depth": 3}, r"depth is 3 in .* and 2 in the weights \(block\.1"),
        ({"mlp_ratio": 4.0}, r"mlp_ratio is 4\.0 in .* and 2\.0 in the weights"),
        ({"in_channels": 3}, "in_channels is 3 in .* and 2 in"),
        ({"num_classes": 10}, "num_classes is 10 in .* and 3 in"),
        ({"num_heads": 8}, r"num_heads is 8 in .* and 4 in the weights \(.*talking_heads"),
        ({"pooling_stat": "1111"}, "pooling_stat '1111' in .*'0011' in the checkpoint's args"),
        ({"dvs_mode": True}, "dvs_mode True in .*False in the checkpoint's args"),
        ({"dim": 32, "depth": 3}, "dim is 32.*depth is 3"),
    ],
)
def test_contradictions_name_both_values(changes, said, path):
    refused(path, official_state(official_config()), said, official_config(**changes))


def test_arguments_that_contradict_the_weights(path):
    content = official_content(official_config(), args=Namespace(dim=64, layer=2))
    with pytest.raises(CheckpointError, match="dim is 64 in .*args and 16 in the weights"):
        load_model(save(path, content))


def test_other_steps_and_image_sizes_are_allowed_and_noted(path):
    save(path, official_content(official_config()))
    model, report = load_with_report(path, official_config(timesteps=7, image_size=(32, 32)))
    assert (model.config.timesteps, model.config.image_size) == (7, (32, 32))
    text = "\n".join(report.lines())
    assert "timesteps 7" in text and "image_size (32, 32)" in text


def test_pooling_and_neuron_are_always_the_authors(path):
    save(path, official_state(official_config()))
    model, report = load_with_report(path, official_config(neuron="cuba", downsampling="stride"))
    assert (model.config.neuron, model.config.downsampling) == ("lif", "max")
    assert "not 'stride'" in str(report.lines()) and "not 'cuba'" in str(report.lines())


def test_no_configuration_at_all(path):
    with pytest.raises(CheckpointError, match="--config"):
        load_model(save(path, official_state(official_config())))
    with pytest.raises(CheckpointError, match="--config"):
        load_model(save(path, official_content(official_config(), args=None)))


def test_gaps_are_filled_from_arguments_and_weights(path, tmp_path):
    save(path, official_content(official_config()))
    sparse = write_yml(tmp_path / "sparse.yml", "time_steps: 5\nmlp-ratio: 9\n")
    config = load_model(path, sparse).config
    assert config == official_config(timesteps=5, dataset="other")
    bare = write_yml(tmp_path / "bare.yml", "time_steps: 5\npooling_stat: 0011\nimg_size: 16\n")
    config = load_model(save(path, official_state(official_config())), bare).config
    assert config == official_config(timesteps=5)
    with pytest.raises(ConfigError, match=r"missing \['pooling_stat', 'img_size'\]"):
        load_model(path, sparse)


def test_yml_file(path, tmp_path):
    save(path, official_state(official_config()))
    yml = write_yml(tmp_path / "conf.yml", YML)
    model, report = load_with_report(path, str(yml))
    assert model.config == official_config(dataset="somewhere")
    assert str(yml) in str(report.lines())
    yml = write_yml(tmp_path / "conf.yml", YML.replace("layer: 2", "layer: 4"))
    with pytest.raises(CheckpointError, match=r"depth is 4 in .*conf\.yml and 2 in the weights"):
        load_model(path, yml)


def test_spike_mode_of_the_arguments(path):
    content = official_content(official_config())
    content["args"].spike_mode = "plif"
    with pytest.raises(ConfigError, match="spike_mode: 'plif'"):
        load_model(save(path, content))


@pytest.mark.parametrize("args", [[1], "text", 5])
def test_arguments_of_another_kind(args, path):
    with pytest.raises(CheckpointError, match="args"):
        load_model(save(path, official_content(official_config(), args=args)))
