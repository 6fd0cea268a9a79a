"""Checkpoints in the layout of the authors' training script: recorded cases and random ones."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sdt_lava.families.sdt1.official_layout import official_tensors
from sdt_lava.model import SdtConfig

DATA = Path(__file__).parents[2] / "data" / "sdt"
CASES = ("pub_a_static_0011", "pub_b_static_1111", "pub_c_dvs_0011")


@dataclass
class Golden:
    """What the authors' code computed, recorded once."""

    folder: Path
    x: torch.Tensor
    spikes: dict[str, np.ndarray]
    aux: dict[str, np.ndarray]
    membranes: dict[str, np.ndarray]
    step_logits: np.ndarray

    @property
    def checkpoint(self) -> Path:
        return self.folder / "model_best.pth.tar"

    @property
    def yml(self) -> Path:
        return self.folder / "conf.yml"

    def differing_spikes(self, record) -> int:
        assert set(record) == set(self.spikes)
        return sum(
            int((record[name].numpy().reshape(spikes.shape) != spikes).sum())
            for name, spikes in self.spikes.items()
        )


def golden(case: str) -> Golden:
    folder = DATA / case
    facts = json.loads((folder / "config.json").read_text())
    with np.load(folder / "golden.npz") as file:
        arrays = dict(file)

    def unpacked(key, shape):
        count = int(np.prod(shape))
        return np.unpackbits(arrays[key], bitorder="little", count=count).reshape(shape)

    return Golden(
        folder=folder,
        x=torch.from_numpy(arrays["input"]),
        spikes={lif["name"]: unpacked(f"spk/{lif['name']}", lif["shape"]) for lif in facts["lif"]},
        aux={name: unpacked(f"aux/{name}", fact["shape"]) for name, fact in facts["aux"].items()},
        membranes={
            key.removeprefix("mem/"): value
            for key, value in arrays.items()
            if key.startswith("mem/")
        },
        step_logits=arrays["logits_t"],
    )


def official_config(**changes) -> SdtConfig:
    """Return a tiny configuration of the authors' kind."""
    values = {
        "image_size": (16, 16),
        "in_channels": 2,
        "num_classes": 3,
        "dim": 16,
        "depth": 2,
        "timesteps": 3,
        "num_heads": 4,
        "mlp_ratio": 2.0,
        "pooling_stat": "0011",
        "downsampling": "max",
        "neuron": "lif",
        # What is assumed of two channels.
        "input_scale": 1.0,
        "input_range": (0, 255),
    }
    return SdtConfig(**{**values, **changes})


def official_state(config: SdtConfig, seed: int = 0) -> dict[str, torch.Tensor]:
    """Return random weights in the authors' layout, with awkward normalisations."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(shape, low, high):
        return torch.rand(shape, generator=generator) * (high - low) + low

    state = {}
    for name, shape in official_tensors(config).items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif name.endswith("running_var"):
            state[name] = uniform(shape, 0.1, 0.5)
            state[name][::16] = 1e-5  # eps matters here
        elif name.endswith("running_mean") or (len(shape) == 1 and "_conv" in name):
            state[name] = uniform(shape, -0.2, 0.2)
        elif "_bn" in name and name.endswith("weight"):
            state[name] = uniform(shape, 0.5, 2.0)
            state[name][::5] *= -1
            state[name][::16] *= 0.01
        elif "_bn" in name:
            state[name] = uniform(shape, 0.2, 1.8)
        else:
            reach = (3 / np.prod(shape[1:])) ** 0.5 if len(shape) > 1 else 1.0
            state[name] = uniform(shape, -reach, reach)
    for block in range(config.depth):
        heads = (config.num_heads, config.num_heads, 1)
        state[f"block.{block}.attn.talking_heads.weight"] = uniform(heads, -9, 9)
    return state


def training_arguments(config: SdtConfig, **changes) -> Namespace:
    """Return what the authors' parser would have made of a configuration."""
    values = {
        "model": "sdt",
        "dim": config.dim,
        "layer": config.depth,
        "time_steps": config.timesteps,
        "num_heads": config.num_heads,
        "mlp_ratio": config.mlp_ratio,
        "pooling_stat": config.pooling_stat,
        "img_size": config.image_size[0],
        "in_channels": config.in_channels,
        "num_classes": config.num_classes,
        "dataset": config.dataset or "other",
        "dvs_mode": config.dvs_mode,
        "spike_mode": "lif",
        "mean": None,
        "std": None,
        "opt": "adamw",
        "lr": 0.0003,
        "scale": [0.08, 1.0],
    }
    return Namespace(**{**values, **changes})


def official_content(config: SdtConfig, seed: int = 0, **entries) -> dict:
    """Return what the authors' training script would save."""
    content = {
        "epoch": 3,
        "arch": "sdt",
        "state_dict": official_state(config, seed),
        "optimizer": {"state": {}, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.99)}]},
        "version": 2,
        "args": training_arguments(config),
        "metric": 91.2,
    }
    return {**content, **entries}


def save(path, content) -> Path:
    torch.save(content, path)
    return path


def write_yml(path, text: str) -> Path:
    path.write_text(text)
    return path


YML = """
dataset: somewhere
num_classes: 3
num_heads: 4
img_size: 16
pooling_stat: "0011"
in_channels: 2
time_steps: 3
layer: 2
dim: 16
mlp_ratio: 2
lr: 3e-4
"""
