"""Weights under other entries, names and types; other networks; files in another's place."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from sdt_lava import load_dataset, load_network
from sdt_lava.errors import CheckpointError, ConfigError, DataError, NetworkFileError
from sdt_lava.families import load_model, load_with_report, resolve_config, save_checkpoint
from tests.families.sdt1.official_cases import (
    YML,
    official_config,
    official_content,
    official_state,
    save,
    training_arguments,
    write_yml,
)
from tests.families.sdt1.test_official import outputs


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pth"


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    place = tmp_path_factory.mktemp("expected") / "m.pth"
    return outputs(load_model(save(place, official_content(official_config()))))


def content(state, key="state_dict", **entries):
    return {key: state, "args": training_arguments(official_config()), "epoch": 3, **entries}


# -- entries ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", ["model", "net", "model_state_dict", "module", "network", "state_dict", "params"]
)
def test_entries_that_hold_the_weights(key, path, expected):
    state = official_state(official_config())
    model, report = load_with_report(save(path, content(state, key, optimizer={})))
    assert torch.equal(outputs(model), expected) and report.weights == key
    nested = {key: {"state_dict": state}, "args": training_arguments(official_config())}
    assert torch.equal(outputs(load_model(save(path, nested))), expected)


def test_our_own_weights_in_an_entry(path, expected):
    model = load_model(save(path, official_content(official_config())))
    save(path, {"model": model.state_dict(), "epoch": 2})
    assert torch.equal(outputs(load_model(path, model.config)), expected)


@pytest.mark.parametrize("key", ["state_dict_ema", "model_ema", "ema", "ema_state_dict"])
def test_a_moving_average_is_mentioned(key, path, expected):
    config = official_config()
    both = content(official_state(config), "model", **{key: official_state(config, seed=1)})
    model, report = load_with_report(save(path, both))
    assert torch.equal(outputs(model), expected)
    assert any(key in note and "--ema" in note for note in report.notes)
    average, report = load_with_report(path, ema=True)
    assert report.weights == key and any("ordinary weights" in note for note in report.notes)
    other = load_model(save(path, official_content(config, seed=1)))
    assert torch.equal(outputs(average), outputs(other))


def test_weights_under_a_name_that_nobody_knows(path):
    with pytest.raises(CheckpointError, match="'generator.best' looks like weights") as caught:
        load_model(save(path, {"generator": {"best": official_state(official_config())}, "a": 1}))
    assert "torch.load(FILE)['generator']['best']" in caught.value.remedy
    with pytest.raises(CheckpointError, match="with 'epoch'"):
        load_model(save(path, {"epoch": 1}))


# -- names -----------------------------------------------------------------------------------------


def renamed(state, *pairs):
    for old, new in pairs:
        state = {re.sub(old, new, name): value for name, value in state.items()}
    return state


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([("^", "_orig_mod.")], "'_orig_mod.'"),
        ([("^", "module._orig_mod.")], "'module.', '_orig_mod.'"),
        ([(r"^block\.(\d)\.", r"block.\1._orig_mod.")], "'_orig_mod.'"),
        ([("attn", "attn.module"), ("^", "module.")], "'module.'"),
        ([("^", "model.")], "'model.'"),
        ([("^", "module.net.")], "'module.', 'net.'"),
    ],
)
def test_wrappers_at_any_depth(pairs, said, path, expected):
    state = renamed(official_state(official_config()), *pairs)
    model, report = load_with_report(save(path, content(state)))
    assert torch.equal(outputs(model), expected)
    assert said in "\n".join(report.lines())


def test_counters_of_profilers_and_averages(path, expected):
    state = official_state(official_config())
    one = torch.zeros(1, dtype=torch.float64)
    extra = {f"{place}{name}": one for place in ("", "head.", "block.0.attn.q_conv.")
             for name in ("total_ops", "total_params", "__flops__")}  # fmt: skip
    extra["n_averaged"] = torch.tensor(5)
    extra["patch_embed.proj_bn.aux_bn.0.running_mean"] = torch.zeros(2)
    model, report = load_with_report(save(path, content(state | extra)))
    assert torch.equal(outputs(model), expected)
    assert set(extra) <= set(report.unused)
    # What has more than one number is no counter.
    with pytest.raises(CheckpointError, match="unexpected tensors 'head.total_ops'") as caught:
        load_model(save(path, content(state | {"head.total_ops": torch.zeros(3)})))
    assert "dim, depth" not in caught.value.remedy


@pytest.mark.parametrize("change", ["float", "half", "double", "none", "nan", "one axis"])
def test_counters_of_batches_refuse_nothing(change, path, expected):
    changes = {
        "float": torch.Tensor.float,
        "half": torch.Tensor.half,
        "double": torch.Tensor.double,
        "nan": lambda value: value.float() * float("nan"),
        "one axis": lambda value: value[None],
    }
    state = official_state(official_config())
    own = load_model(save(path, content(state)))
    for weights, config in ((state, None), (own.state_dict(), own.config)):
        counted = {
            name: changes[change](value) if name.endswith("tracked") else value
            for name, value in weights.items()
            if change != "none" or not name.endswith("tracked")
        }
        layout = counted if config else content(counted)
        assert torch.equal(outputs(load_model(save(path, layout), config)), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_types(dtype, path):
    rounded = {key: value.to(dtype) for key, value in official_state(official_config()).items()}
    model, report = load_with_report(save(path, content(rounded)))
    single = {key: value.float() for key, value in rounded.items()}
    assert torch.equal(outputs(model), outputs(load_model(save(path, content(single)))))
    assert str(dtype).removeprefix("torch.") in "\n".join(report.notes)


# -- SpikingJelly 2's own network ------------------------------------------------------------------

THEIRS = [
    (r"^patch_embed\.proj_(conv|bn)(\d?)\.", lambda m: _stage(m[1], int(m[2] or 0))),
    (r"^block\.", "blocks."),
    (r"mlp\.fc(\d)_conv", r"mlp.fc\1"),
    (r"mlp\.fc(\d)_bn", r"mlp.bn\1"),
]


def _stage(part, stage):
    number = 0 if part == "conv" else 1
    return (
        f"patch_embed.stages.{stage}.{number}."
        if stage < 3
        else f"patch_embed.final_stage.{number}."
    )


@pytest.mark.parametrize("seed", range(2))
def test_spikingjellys_own_network(seed, path):
    """Its four stages have biases, which move the means of the normalisations behind them."""
    config = official_config(depth=2)
    state = official_state(config, seed)
    theirs = {key: value.clone() for key, value in state.items() if "talking" not in key}
    generator = torch.Generator().manual_seed(seed)
    for suffix in ("", "1", "2", "3"):
        mean = f"patch_embed.proj_bn{suffix}.running_mean"
        bias = torch.randn(len(state[mean]), generator=generator)
        theirs[f"patch_embed.proj_conv{suffix}.bias"] = bias
        theirs[mean] = (state[mean].double() + bias.double()).float()
        state[mean] = (theirs[mean].double() - bias.double()).float()
    model = load_model(save(path, content(state)))
    other, report = load_with_report(save(path, content(renamed(theirs, *THEIRS))))
    assert torch.equal(outputs(other), outputs(model))
    assert any("SpikingJelly" in note for note in report.notes)


def test_spikingjellys_network_dilates_nothing(path):
    config = official_config(dvs_mode=True, dataset="cifar10-dvs")
    state = renamed(official_state(config), *THEIRS)
    arguments = training_arguments(config)
    model, report = load_with_report(save(path, {"model": state, "args": arguments}))
    assert not model.config.dvs_mode
    assert any("dilates no spikes" in note for note in report.notes)


# -- other networks --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"patch_embed.proj_conv.weight": (8, 3, 3, 3), "block.0.attn.q_linear.weight": (8, 8)},
         "Spikformer"),
        ({"patch_embed.proj_conv.weight": (8, 3, 3, 3), "block.0.attn.q_conv.weight": (8, 8, 1)},
         "Spikformer"),
        ({"patch_embed.stages.0.block.0.weight": (8, 3, 3, 3)}, "Spikformer"),
        ({"patch_embed1.proj_conv.weight": (8, 3, 3, 3), "stage1.0.tssa.q_conv.weight": (8, 8, 1)},
         "QKFormer"),
        ({"patch_embed1.conv1.weight": (8, 3, 3, 3)}, "QKFormer"),
        ({"patch_embed1.embed1.embed_conv.weight": (8, 3, 3, 3),
          "stage1.0.mixer.conv.weight": (8, 8)},
         "MaxFormer"),
        ({"downsample1_1.encode_conv.weight": (8, 3, 7, 7),
          "block3.0.attn.q_conv.0.body.0.weight": (8, 8, 1, 1)}, "Transformer V2"),
        ({"downsample1_1.encode_conv.weight": (8, 3, 7, 7),
          "block3.0.attn.q_conv.0.weight": (8, 8, 1, 1)}, "Transformer V3"),
        ({"downsample1_1.encode_conv.weight": (8, 3, 7, 7), "block3.0.layer_scale1": (8,)}, "QSD"),
        ({"block.0.mlp.experts.w1": (2, 8, 8), "block.0.mlp.router.bn.weight": (2,)},
         "mixture of experts"),
        ({"layer1.0.conv1.weight": (8, 3, 3, 3)}, "ResNet"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
@pytest.mark.parametrize("key", ["model", None])
def test_other_networks_are_named(names, said, key, path):
    state = {f"module.{name}": torch.zeros(shape) for name, shape in names.items()}
    layout = content(state, key) if key else state
    with pytest.raises(CheckpointError, match=said) as caught:
        load_model(save(path, layout), None if key else official_config())
    assert "dim" not in caught.value.remedy and "not supported" in caught.value.allowed


def test_a_second_head(path):
    state = official_state(official_config()) | {"head_dist.weight": torch.zeros(3, 16)}
    with pytest.raises(CheckpointError, match="second head") as caught:
        load_model(save(path, content(state)))
    assert "average" in caught.value.remedy


# -- files in another's place ----------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    """One of each kind of file, and the command that its error should name."""
    checkpoint = save(tmp_path / "c.pth.tar", official_content(official_config()))
    save_checkpoint(tmp_path / "own.pt", load_model(checkpoint))
    np.savez(tmp_path / "d.npz", x=np.zeros((1, 2, 16, 16)))
    np.save(tmp_path / "d.npy", np.zeros((1, 2, 16, 16)))
    write_yml(tmp_path / "conf.yml", YML)
    for name in ("n.h5", "n.nir"):
        (tmp_path / name).write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("n.h5", "sdt-lava info"),
        ("n.nir", "sdt-lava nir"),
        ("d.npz", "--data"),
        ("d.npy", "--data"),
        ("conf.yml", "--config"),
    ],
)
def test_what_is_no_checkpoint(name, command, files):
    with pytest.raises(CheckpointError) as caught:
        load_model(files / name)
    assert command in caught.value.remedy and name in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("c.pth.tar", "sdt-lava export"),
        ("own.pt", "sdt-lava export"),
        ("d.npz", "--data"),
        ("conf.yml", "--config"),
    ],
)
def test_what_is_no_network(name, command, files):
    with pytest.raises(NetworkFileError) as caught:
        load_network(files / name)
    assert command in caught.value.remedy and name in caught.value.remedy


@pytest.mark.parametrize(("name", "command"), [("own.pt", "export"), ("n.h5", "info")])
def test_what_is_no_configuration_and_no_data(name, command, files):
    with pytest.raises(ConfigError) as wrong:
        resolve_config(files / name)
    assert command in wrong.value.remedy
    with pytest.raises(DataError) as wrong_data:
        load_dataset(str(files / name))
    assert command in wrong_data.value.remedy
