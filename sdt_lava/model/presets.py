"""The paper's networks by name.

Source: Yao et al., "Spike-driven Transformer", NeurIPS 2023 (arXiv 2307.01694), and the
configuration files that its authors ship. ``10-512`` is shipped under the name 10_384.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sdt_lava.errors import ConfigError
from sdt_lava.model.config import SdtConfig

# Normalisation of the data sets, as in the shipped configuration files.
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CIFAR10_MEAN, _CIFAR10_STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def _imagenet(dim: int, depth: int) -> SdtConfig:
    return SdtConfig(
        image_size=(224, 224),
        in_channels=3,
        num_classes=1000,
        dim=dim,
        depth=depth,
        timesteps=4,
        input_mean=_IMAGENET_MEAN,
        input_std=_IMAGENET_STD,
        dataset="imagenet",
    )


def _cifar(dim: int) -> SdtConfig:
    return SdtConfig(
        image_size=(32, 32),
        in_channels=3,
        num_classes=10,
        dim=dim,
        depth=2,
        timesteps=4,
        pooling_stat="0011",
        input_mean=_CIFAR10_MEAN,
        input_std=_CIFAR10_STD,
        dataset="cifar10",
    )


PRESETS: dict[str, SdtConfig] = {
    "8-384": _imagenet(384, 8),
    "6-512": _imagenet(512, 6),
    "8-512": _imagenet(512, 8),
    "10-512": _imagenet(512, 10),
    "8-768": _imagenet(768, 8),
    "cifar-2-256": _cifar(256),
    "cifar-2-512": _cifar(512),
    "gesture-2-256": SdtConfig(
        image_size=(128, 128),
        in_channels=2,
        num_classes=11,
        dim=256,
        depth=2,
        timesteps=16,
        pooling_stat="0111",
        input_scale=1.0,
        input_range=(0, 255),
        dataset="dvs128-gesture",
    ),
    "cifar10-dvs-2-256": SdtConfig(
        image_size=(64, 64),
        in_channels=2,
        num_classes=10,
        dim=256,
        depth=2,
        timesteps=10,
        pooling_stat="0011",
        dvs_mode=True,
        input_scale=1.0,
        input_range=(0, 255),
        dataset="cifar10-dvs",
    ),
    # Not from the paper: small enough to train in a minute on a laptop. Pixels of
    # scikit-learn's digits are k/16, so 16 levels represent them exactly.
    "digits": SdtConfig(
        image_size=(8, 8),
        in_channels=1,
        num_classes=10,
        dim=64,
        depth=1,
        timesteps=4,
        num_heads=4,
        mlp_ratio=2.0,
        pooling_stat="0100",
        input_scale=16.0,
        input_range=(0, 16),
        dataset="digits",
    ),
}


def preset(name: str, **changes: Any) -> SdtConfig:
    """Return the configuration called ``name``, with fields replaced by ``changes``.

    Raises
    ------
    ConfigError
        If there is no preset of that name, or a change is out of range.
    """
    if name not in PRESETS:
        raise ConfigError("preset", repr(name), f"one of {sorted(PRESETS)}")
    return replace(PRESETS[name], **changes)
