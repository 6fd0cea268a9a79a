"""The configuration of a Spike-driven Transformer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import ceil
from reprlib import repr as short_repr
from typing import Any, ClassVar

from sdt_lava.errors import ConfigError
from sdt_lava.ir.numerics import INPUT_LIMIT

DOWNSAMPLINGS = ("stride", "or", "max")
NEURONS = ("cuba", "lif")
SHORTCUTS = ("membrane", "sew")
NUM_STAGES = 4


@dataclass(frozen=True, kw_only=True)
class SdtConfig:
    """All properties of a Spike-driven Transformer that its state dict does not determine.

    Parameters
    ----------
    image_size : tuple of int
        Input height and width ``(H, W)``.
    in_channels : int
        Input channels ``C``.
    num_classes : int
        Outputs of the linear head.
    dim : int
        Embedding channels ``D``; the stages of the patch splitting have D/8, D/4, D/2 and D.
    depth : int
        Number of encoder blocks.
    timesteps : int
        Number of steps ``T`` for which a static image is presented.
    num_heads : int
        Attention heads. Channels do not interact in SDSA, so this has no effect unless
        ``dvs_mode`` is set.
    mlp_ratio : float
        Hidden channels of the MLP as a multiple of ``dim``.
    pooling_stat : str
        Four characters, one per stage: '1' halves the image in the stage, '0' does not.
    downsampling : {'stride', 'or', 'max'}
        Method by which a stage halves the image: a stride-2 convolution, an OR-pool of its
        spikes, or the official 3x3 max-pool (for stages 0-2 this equals the OR-pool; for stage 3
        it pools the pre-activation, which spikes cannot represent).
    dvs_mode : bool
        The spike dilations of the official CIFAR10-DVS configuration.
    neuron : {'cuba', 'lif'}
        SLAYER's CUBA neuron as computed by `blocks.neurons.Lif`, which keeps its voltage in steps
        of 1/4096 and, like the hardware, fires above its threshold; or the authors' float32
        neuron, which fires at its threshold.
    shortcut : {'membrane', 'sew'}
        Values added by the shortcut around a layer: membrane potentials, as in the paper, or
        spikes after their neurons (SEW, Fang et al., NeurIPS 2021), whose sums are 0, 1, 2, ...
        SEW is intended for comparisons and cannot be exported.
    threshold : float
        Firing threshold of every LIF except that of the attention.
    attention_threshold : float
        Firing threshold of the LIF over the token sum of ``k * v``.
    input_scale : float
        Integer levels per unit of the input, used when the network is quantized:
        ``x_int = clip(round(x * input_scale), *input_range)``.
    input_range : tuple of int
        Smallest and largest integer input.
    input_mean, input_std : tuple of float
        Normalisation used in training, one value per channel; empty for none. These values only
        document the data: networks take input that is already normalised.
    dataset : str
        Name of the data set on which the network was trained, or empty.
    """

    family: ClassVar[str] = "sdt1"

    image_size: tuple[int, int]
    in_channels: int
    num_classes: int
    dim: int
    depth: int
    timesteps: int
    num_heads: int = 8
    mlp_ratio: float = 4.0
    pooling_stat: str = "1111"
    downsampling: str = "stride"
    dvs_mode: bool = False
    neuron: str = "cuba"
    shortcut: str = "membrane"
    threshold: float = 1.0
    attention_threshold: float = 0.5
    input_scale: float = 64.0
    input_range: tuple[int, int] = (-255, 255)
    input_mean: tuple[float, ...] = ()
    input_std: tuple[float, ...] = ()
    dataset: str = ""

    def __post_init__(self) -> None:
        _check_types(self)
        _check_positive(self)
        _check_structure(self)

    @property
    def hidden_dim(self) -> int:
        """Hidden channels of the MLP."""
        return int(self.dim * self.mlp_ratio)

    @property
    def stage_channels(self) -> tuple[int, ...]:
        """Output channels of the four stages of the patch splitting."""
        return (self.dim // 8, self.dim // 4, self.dim // 2, self.dim)

    @property
    def token_grid(self) -> tuple[int, int]:
        """Height and width of the token grid after all down-sampling."""
        height, width = self.image_size
        for flag in self.pooling_stat:
            if flag == "1":
                height, width = ceil(height / 2), ceil(width / 2)
        return height, width

    @property
    def num_tokens(self) -> int:
        """Number of tokens ``N``."""
        height, width = self.token_grid
        return height * width

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain numbers, strings and lists."""
        plain = asdict(self)
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "configuration") -> SdtConfig:
        """Build a configuration from plain values; errors name missing and unknown keys.

        Raises
        ------
        ConfigError
            If a key is unknown, a required one is missing, or a value is out of range.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(where, f"a {type(values).__name__}", "a mapping of names to values")
        field_names = {field.name for field in fields(cls)}
        unknown = sorted(str(key) for key in values if key not in field_names)
        if unknown:
            raise ConfigError(where, f"unknown keys {unknown}", f"keys {sorted(field_names)}")
        missing = sorted(
            {"image_size", "in_channels", "num_classes", "dim", "depth", "timesteps"} - set(values)
        )
        if missing:
            raise ConfigError(
                where, f"missing keys {missing}", remedy="add them to the configuration"
            )
        converted: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**converted)


_INTEGERS = ("in_channels", "num_classes", "dim", "depth", "timesteps", "num_heads")
_FLOATS = ("mlp_ratio", "threshold", "attention_threshold", "input_scale")
_PAIRS = ("image_size", "input_range")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9


def _check_types(config: SdtConfig) -> None:
    for name in _INTEGERS:
        if not _is_int(getattr(config, name)):
            raise ConfigError(f"config.{name}", short_repr(getattr(config, name)), "an integer")
    for name in _FLOATS:
        if not _is_number(getattr(config, name)):
            raise ConfigError(
                f"config.{name}", short_repr(getattr(config, name)), "a finite number"
            )
    for name in _PAIRS:
        pair = getattr(config, name)
        if not (isinstance(pair, tuple) and len(pair) == 2 and all(map(_is_int, pair))):
            raise ConfigError(f"config.{name}", short_repr(pair), "two integers")
    for name in ("input_mean", "input_std"):
        values = getattr(config, name)
        if not (isinstance(values, tuple) and all(map(_is_number, values))):
            raise ConfigError(
                f"config.{name}", short_repr(values), "a number for each channel, or nothing"
            )
    for name in ("pooling_stat", "downsampling", "neuron", "shortcut", "dataset"):
        if not isinstance(getattr(config, name), str):
            raise ConfigError(f"config.{name}", short_repr(getattr(config, name)), "a string")
    if not isinstance(config.dvs_mode, bool):
        raise ConfigError("config.dvs_mode", short_repr(config.dvs_mode), "true or false")


# Largest values accepted from files, far above any published model: they limit the memory
# that a malicious configuration can request.
_LARGEST = {
    "in_channels": 4096,
    "num_classes": 1_000_000,
    "dim": 16_384,
    "depth": 1024,
    "timesteps": 65_536,
    "num_heads": 16_384,
    "mlp_ratio": 64,
}
_LARGEST_IMAGE_SIDE = 16_384


def _check_positive(config: SdtConfig) -> None:
    for name in (*_INTEGERS, *_FLOATS):
        value = getattr(config, name)
        largest = _LARGEST.get(name)
        if value <= 0 or (largest is not None and value > largest):
            limit = f"above 0 and at most {largest}" if largest else "above 0"
            raise ConfigError(f"config.{name}", str(value), limit)
    if not all(0 < side <= _LARGEST_IMAGE_SIDE for side in config.image_size):
        raise ConfigError(
            "config.image_size", str(config.image_size), f"sides of 1 to {_LARGEST_IMAGE_SIDE}"
        )
    low, high = config.input_range
    if not -INPUT_LIMIT <= low <= 0 <= high <= INPUT_LIMIT or low == high:
        raise ConfigError(
            "config.input_range",
            str(config.input_range),
            f"low <= 0 <= high, low < high, both within +-{INPUT_LIMIT}",
        )


def _check_structure(config: SdtConfig) -> None:
    if len(config.pooling_stat) != NUM_STAGES or set(config.pooling_stat) - {"0", "1"}:
        raise ConfigError(
            "config.pooling_stat", repr(config.pooling_stat), "four characters 0 or 1"
        )
    if config.downsampling not in DOWNSAMPLINGS:
        raise ConfigError(
            "config.downsampling", repr(config.downsampling), f"one of {DOWNSAMPLINGS}"
        )
    if config.neuron not in NEURONS:
        raise ConfigError("config.neuron", repr(config.neuron), f"one of {NEURONS}")
    if config.shortcut not in SHORTCUTS:
        raise ConfigError("config.shortcut", repr(config.shortcut), f"one of {SHORTCUTS}")
    if config.dim % 8:
        raise ConfigError(
            "config.dim", str(config.dim), "a multiple of 8 (the stages have D/8, D/4, D/2, D)"
        )
    if config.dim % config.num_heads:
        raise ConfigError(
            "config.num_heads", str(config.num_heads), f"a divisor of dim = {config.dim}"
        )
    if config.hidden_dim < 1:
        raise ConfigError("config.mlp_ratio", str(config.mlp_ratio), "at least one hidden channel")
    factor = 2 ** config.pooling_stat.count("1")
    if config.downsampling == "max" and any(side % factor for side in config.image_size):
        raise ConfigError(
            "config.image_size",
            str(config.image_size),
            f"sides divisible by {factor}, as in the official network with this pooling_stat",
        )
