"""All that a training script saves beside the weights, in every protocol that torch.save offers."""

from __future__ import annotations

import json
from argparse import Namespace
from collections import OrderedDict

import numpy as np
import pytest
import torch
import yaml

from sdt_lava.errors import CheckpointError, ConfigError
from sdt_lava.families import load_model, load_with_report, resolve_config
from tests.families.sdt1.official_cases import (
    official_config,
    official_content,
    official_state,
    save,
    training_arguments,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model_best.pth.tar"


def trained(optimizer_class, state, **options):
    """The state of an optimizer after one step over the weights of a checkpoint."""
    weights = [torch.nn.Parameter(w.clone()) for w in state.values() if w.is_floating_point()]
    groups = [{"params": weights[:3], "weight_decay": 0.0}, {"params": weights[3:]}]
    optimizer = optimizer_class(groups, lr=1e-3, **options)
    sum((weight**2).sum() for weight in weights).backward()
    optimizer.step()
    return optimizer.state_dict()


OPTIMIZERS = {
    "adamw": (torch.optim.AdamW, {"amsgrad": True}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "rmsprop": (torch.optim.RMSprop, {"centered": True}),
}
SCALER = {
    "scale": 65536.0,
    "growth_factor": 2.0,
    "backoff_factor": 0.5,
    "growth_interval": 2000,
    "_growth_tracker": 37,
}


def whole_training(config, optimizer="adamw"):
    state = official_state(config)
    kind, options = OPTIMIZERS[optimizer]
    arguments = training_arguments(
        config, lr=np.float64(3e-4), betas=(0.9, 0.999), decay_epochs=np.int64(20), resume=None
    )
    return official_content(
        config,
        epoch=np.int64(299),
        state_dict=OrderedDict(state),
        optimizer=trained(kind, state, **options),
        args=arguments,
        amp_scaler=SCALER,
        amp={"loss_scaler0": {"loss_scale": 65536.0, "unskipped": 12}},
        scaler={**SCALER, "scale": torch.tensor(2.0)},
        lr_scheduler={"base_lrs": [1e-3], "last_epoch": 4, "warmup_steps": np.int32(20)},
        metric=np.float64(91.2),
        state_dict_ema=OrderedDict(official_state(config, seed=1)),
    )


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_it_is_read_and_changes_nothing(optimizer, protocol, path):
    config = official_config(depth=1)
    plain = load_model(save(path, official_content(config)))
    average = load_model(save(path, official_content(config, seed=1)))
    torch.save(whole_training(config, optimizer), path, pickle_protocol=protocol)
    for expected, ema in ((plain, False), (average, True)):
        model, report = load_with_report(path, ema=ema)
        assert model.config == config_with_dataset(config)
        states = model.state_dict(), expected.state_dict()
        assert all(map(torch.equal, *(state.values() for state in states)))
        assert report.weights == ("state_dict_ema" if ema else "state_dict")


def config_with_dataset(config):
    return official_config(depth=config.depth, dataset="other")


@pytest.mark.parametrize("name", ["time_steps", "layer", "dim", "img_size"])
def test_numbers_of_numpy_in_the_arguments(name, path):
    content = official_content(official_config())
    arguments = vars(content["args"])
    arguments[name] = np.int64(arguments[name])
    assert load_model(save(path, content)).config == official_config(dataset="other")
    arguments[name] = np.float64(arguments[name])
    with pytest.raises(ConfigError, match=name):
        load_model(save(path, content))


# -- sources of a configuration -----------------------------------------------------------------


def test_every_way_to_say_the_same(path, tmp_path):
    config = official_config(dataset="other")
    save(path, official_state(config))
    arguments = training_arguments(config)
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    # As timm writes them beside the checkpoint.
    (tmp_path / "args.yaml").write_text(yaml.safe_dump(vars(arguments)))
    for source in (
        config,
        config.to_dict(),
        arguments,
        vars(arguments),
        tmp_path / "config.json",
        tmp_path / "args.yaml",
        str(tmp_path / "args.yaml"),
    ):
        model, report = load_with_report(path, source)
        assert model.config == config
        assert any("configuration from" in line for line in report.lines())
        assert resolve_config(source) == config


def test_arguments_may_be_incomplete_where_weights_tell(path):
    config = official_config()
    save(path, official_state(config))
    needed = {"time_steps": 3, "img_size": 16, "pooling_stat": "0011"}
    for source in (needed, Namespace(**needed)):
        assert load_model(path, source).config == config
        with pytest.raises(ConfigError, match=r"missing \['dim', 'layer', 'num_classes'\]"):
            resolve_config(source)


def test_both_notations_at_once(path):
    mixed = {**official_config().to_dict(), "layer": 2}
    with pytest.raises(ConfigError, match=r"unknown keys \['layer'\]"):
        load_model(save(path, official_state(official_config())), mixed)


def test_a_wrong_configuration_lists_what_does_not_fit(path):
    save(path, official_state(official_config()))
    with pytest.raises(CheckpointError) as caught:
        load_model(path, official_config(depth=3, dim=32))
    message = str(caught.value)
    for part in (
        "dim is 32 in the configuration and 16 in the weights",
        "depth is 3 in the configuration and 2 in the weights",
        "missing tensors 'block.2.attn.",
        "'patch_embed.proj_conv.weight (2, 2, 3, 3) instead of (4, 2, 3, 3)'",
        " more",
    ):
        assert part in message
    with pytest.raises(CheckpointError, match=r"dim is 256 in cifar100-2-256.*num_classes is 100"):
        load_model(path, "cifar100-2-256")


def test_a_missing_block_is_listed_in_full(path):
    config = official_config()
    state = official_state(config)
    whole = {name for name in state if name.startswith("block.0.") and "talking" not in name}
    left = {name: value for name, value in state.items() if name not in whole}
    with pytest.raises(CheckpointError) as caught:
        load_model(save(path, left), config)
    assert len(whole) == 39
    assert all(f"'{name}'" in str(caught.value) for name in whole)
