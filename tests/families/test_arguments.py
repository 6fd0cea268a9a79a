"""Arguments of a training: read, without effect, refused by name, or unknown."""

from __future__ import annotations

import json
from argparse import Namespace

import pytest

from sdt_lava.errors import ConfigError
from sdt_lava.families import load_model, load_with_report, resolve_config
from tests.families.sdt1.official_cases import (
    YML,
    official_config,
    official_content,
    official_state,
    save,
    training_arguments,
    write_yml,
)

# The whole command line of the authors' train.py and firing_num.py, with its defaults; values of
# the shipped files where they set one. Names with hyphens are those of the shipped files.
AUTHORS = {
    "data_dir": "", "dataset": "torch/cifar10", "train_split": "train", "val_split": "validation",
    "train_split_path": None, "model": "sdt", "pooling_stat": "0011", "TET": True,
    "TET_means": 1.0, "TET_lamb": 0.001, "spike_mode": "lif", "layer": 2, "in_channels": 3,
    "pretrained": False, "initial_checkpoint": "", "resume": "x.pth", "no_resume_opt": True,
    "num_classes": 10, "time_steps": 4, "num_heads": 8, "patch_size": 4, "mlp_ratio": 4,
    "gp": None, "img_size": 32, "input_size": None, "crop_pct": 1.0,
    "mean": [0.4914, 0.4822, 0.4465], "std": [0.247, 0.2435, 0.2616], "interpolation": "bicubic",
    "batch_size": 64, "val_batch_size": 64, "opt": "adamw", "opt_eps": None, "opt_betas": None,
    "momentum": 0.9, "weight_decay": 0.06, "clip_grad": None, "clip_mode": "norm",
    "sched": "cosine", "lr": 3e-4, "lr_noise": None, "lr_noise_pct": 0.67, "lr_noise_std": 1.0,
    "lr_cycle_mul": 1.0, "lr_cycle_limit": 1, "warmup_lr": 1e-6, "min_lr": 1e-5, "epochs": 300,
    "epoch_repeats": 0.0, "start_epoch": None, "decay_epochs": 30, "warmup_epochs": 20,
    "cooldown_epochs": 10, "patience_epochs": 10, "decay_rate": 0.1, "no_aug": False,
    "scale": [1.0, 1.0], "ratio": [1.0, 1.0], "hflip": 0.5, "vflip": 0.0, "color_jitter": 0.5,
    "aug_splits": 0, "jsd": False, "bce_loss": True, "bce_target_thresh": 0.2, "reprob": 0.25,
    "remode": "pixel", "recount": 1, "resplit": True, "mixup": 0.5, "cutmix": 0.0,
    "cutmix_minmax": None, "mixup_prob": 1.0, "mixup_switch_prob": 0.5, "mixup_mode": "batch",
    "mixup_off_epoch": 200, "smoothing": 0.1, "train_interpolation": "bicubic", "drop": 0.1,
    "drop_connect": None, "drop_path": 0.2, "drop_block": 0.3, "bn_tf": False,
    "bn_momentum": 0.2, "bn_eps": None, "sync_bn": True, "dist_bn": "reduce", "split_bn": True,
    "linear_prob": True, "model_ema": True, "model_ema_force_cpu": False,
    "model_ema_decay": 0.9998, "seed": 42, "log_interval": 100, "recovery_interval": 0,
    "checkpoint_hist": 10, "workers": 8, "save_images": True, "amp": True, "apex_amp": False,
    "native_amp": True, "channels_last": True, "pin_mem": True, "no_prefetcher": False,
    "dvs_aug": True, "dvs_trival_aug": True, "save_qkv": True, "output": "out", "experiment": "e",
    "eval_metric": "top1", "tta": 3, "local_rank": 1, "use_multi_epochs_loader": True,
    "large_valid": True, "torchscript": None, "log_wandb": True, "aa": "rand-m9-n1-mstd0.4-inc1",
    "use_conv_as_linear": True, "model-ema": False, "model-ema-decay": 0.9998,
    "channels-last": False, "mlp-ratio": 9, "distributed": True, "world_size": 8, "rank": 0,
    "device": "cuda:0", "prefetcher": True, "dvs_mode": False, "dim": 256,
}  # fmt: skip
# What other scripts around the same network say of their training.
OTHERS = {
    "accum_iter": 2, "layer_decay": 0.75, "blr": 1e-3, "dist_url": "env://", "gpu": 0,
    "num_workers": 4, "wandb_project": "x", "use_wandb": False, "exp_name": "a", "patience": 3,
    "label_smoothing": 0.1, "auto_augment": "ta", "random_erase": 0.1, "nb_classes": 10,
    "drop_path_rate": 0.1, "attn_drop_rate": 0.1, "backend": "cupy", "detach_reset": True,
    "surrogate_function": "atan", "output_dir": "o", "log_dir": "l", "print_freq": 10,
    "freeze_bn": True, "teacher_model": "x", "distillation_type": "none", "tau": 2.0,
    "v_threshold": "1.0", "v_reset": 0.0, "qkv_bias": True, "sr_ratio": 1, "T": 4,
    "decay_input": True, "attn_mode": "direct_xor", "qk_scale": None, "bn_eps": 1e-5,
    "hard_reset": "True", "norm_layer": "LayerNorm", "neuron_type": "LIF", "step_mode": "m",
}  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model_best.pth.tar"


def checkpoint(path, **arguments):
    return save(path, official_content(official_config(), **arguments))


def with_arguments(path, **changes):
    config = official_config()
    return checkpoint(path, args=training_arguments(config, **changes))


@pytest.mark.parametrize("more", [{}, OTHERS], ids=["authors", "others"])
def test_everything_about_a_training_is_let_through(more, tmp_path):
    config = resolve_config(
        Namespace(**AUTHORS, **{k: v for k, v in more.items() if k != "bn_eps"})
    )
    assert (config.dim, config.depth, config.timesteps) == (256, 2, 4)
    assert config.mlp_ratio == 4.0
    (tmp_path / "args.json").write_text(json.dumps({**AUTHORS, **more}))
    assert resolve_config(tmp_path / "args.json") == config


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("attention_mode", "STAtten", "'SDT'"),
        ("attn_mode", "softmax", "direct_xor"),
        ("chunk_size", 2, "attention_mode"),
        ("spike_mode", "plif", "'lif'"),
        ("tau", 1.5, "2.0"),
        ("v_threshold", 0.8, "1.0"),
        ("v_reset", None, "0.0"),
        ("v_reset", -1.0, "0.0"),
        ("decay_input", False, "True"),
        ("soft_reset", True, "False"),
        ("qk_scale", 0.25, "0.125"),
        ("sr_ratio", 2, "1"),
        ("bn_eps", 1e-3, "1e-05"),
        ("bn_tf", True, "False"),
        ("num_experts", 4, "0"),
        ("use_moe", "true", "False"),
        ("gp", "max", "avg"),
        ("model", "metaspikformer_8_512", "sdt"),
        ("neuron_type", "plif", "lif"),
        ("encoding", "poisson", "direct"),
        ("connect_f", "ADD", "membrane"),
    ],
)
def test_what_changes_the_function_is_named(name, value, allowed, path, tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_model(with_arguments(path, **{name: value}))
    assert name in caught.value.where and allowed in caught.value.allowed
    assert str(value)[:4] in str(caught.value) or value is None
    # Also if a configuration is given: the weights are still those of another network.
    with pytest.raises(ConfigError, match=name):
        load_model(path, official_config())
    text = "null" if value is None else value
    with pytest.raises(ConfigError, match=name):
        resolve_config(write_yml(tmp_path / "conf.yml", f"{YML}{name}: {text}\n"))


def test_several_are_named_together(path):
    with pytest.raises(ConfigError, match=r"tau 3\.0; v_threshold 0\.5"):
        load_model(with_arguments(path, tau=3.0, v_threshold=0.5))


def test_the_other_codes_plain_attention(path):
    """STAtten's code computes SDSA with attention_mode SDT, unless spikes are dilated."""
    model = load_model(with_arguments(path, attention_mode="SDT", chunk_size=2))
    assert not model.config.dvs_mode
    with pytest.raises(ConfigError, match="dilates the queries"):
        load_model(with_arguments(path, attention_mode="SDT", dvs_mode=True))
    with pytest.raises(ConfigError, match="dilates the queries"):
        resolve_config({"attention_mode": "SDT", "dataset": "ncaltech101", "time_steps": 4})


def test_unknown_arguments_are_named_all(path):
    with pytest.raises(ConfigError, match="unknown arguments 'sparsity_gate', 'new_residual'") as e:
        load_model(with_arguments(path, sparsity_gate=3, new_residual=False))
    assert "config" in e.value.remedy
    # The remedy: whoever gives a configuration answers for it.
    _, report = load_with_report(path, official_config())
    assert any("sparsity_gate" in note for note in report.notes)
    with pytest.raises(ConfigError, match="window"):
        resolve_config(Namespace(**{**AUTHORS, "window": 7}))


def test_two_names_of_one_thing(path):
    assert resolve_config(Namespace(**AUTHORS, embed_dims=256, depths=2)).dim == 256
    for more in ({"T": 8}, {"embed_dims": 512}, {"depth": 3}, {"input_size": [3, 64, 64]}):
        with pytest.raises(ConfigError, match="one value|one size"):
            resolve_config(Namespace(**{**AUTHORS, **more}))
    without = {key: value for key, value in AUTHORS.items() if key != "img_size"}
    assert resolve_config(Namespace(**{**without, "input_size": [3, 24, 40]})).image_size == (
        24,
        40,
    )
    sides = resolve_config(Namespace(**without, img_size_h=24, img_size_w=40))
    assert sides.image_size == (24, 40)


def test_a_dict_of_arguments_elsewhere(path):
    """Other scripts keep them under other names."""
    config = official_config()
    content = {"model": official_state(config), "hparams": vars(training_arguments(config))}
    assert load_model(save(path, content)).config.timesteps == config.timesteps
    content["hparams"]["attention_mode"] = "STAtten"
    with pytest.raises(ConfigError, match="hparams: attention_mode"):
        load_model(save(path, content))
