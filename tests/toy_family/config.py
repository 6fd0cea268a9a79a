"""Step 1: the configuration of a toy network, and a preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from sdt_lava.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    """A convolutional network of two layers."""

    family: ClassVar[str] = "toy"

    image_size: tuple[int, int]
    in_channels: int
    num_classes: int
    width: int
    timesteps: int
    neuron: str = "cuba"
    threshold: float = 1.0
    input_scale: float = 16.0
    input_range: tuple[int, int] = (0, 16)
    dataset: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.width <= 1024:
            raise ConfigError("config.width", str(self.width), "1 to 1024")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "configuration") -> ToyConfig:
        """Build a configuration from plain values."""
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ConfigError(where, f"unknown keys {unknown}")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


PRESETS = {
    "toy-digits": ToyConfig(
        image_size=(8, 8), in_channels=1, num_classes=10, width=12, timesteps=4, dataset="digits"
    )
}


def tensors(config: ToyConfig) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of the state dict."""
    shapes: dict[str, tuple[int, ...]] = {}
    inputs = config.in_channels
    for number in (1, 2):
        shapes[f"conv{number}.weight"] = (config.width, inputs, 3, 3, 1)
        for vector in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"bn{number}.{vector}"] = (config.width,)
        shapes[f"bn{number}.num_batches_tracked"] = ()
        inputs = config.width
    shapes["head.weight"] = (config.num_classes, config.width)
    shapes["head.bias"] = (config.num_classes,)
    return shapes
