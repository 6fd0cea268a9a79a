"""The authors' configuration: their ``conf/*.yml`` files and the arguments in their checkpoints.

Both are read into settings, a dict of `SdtConfig` fields with nothing but what the source says.
What is missing is filled from other sources, last of all with the defaults of their command line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from math import isfinite
from typing import Any

import yaml

from sdt_lava.errors import ConfigError
from sdt_lava.files import open_regular
from sdt_lava.limits import limits, remedy
from sdt_lava.model.config import SdtConfig
from sdt_lava.model.normalisation import (
    EVENT_LEVELS,
    NORMALISATION,
    InputLevels,
    image_levels,
)

Settings = dict[str, Any]

YML_SUFFIXES = (".yml", ".yaml")
_DEFAULTS = {"in_channels": 3, "mlp_ratio": 4.0, "num_heads": 8, "dvs_mode": False}
# What makes a network the authors' own: pooling of the pre-activation, and their neuron.
OFFICIAL = {"downsampling": "max", "neuron": "lif"}
_EMPTY = (None, "", "null", "Null", "NULL", "~")


class _TextLoader(yaml.BaseLoader):
    """Build dicts, lists and text only: no numbers, whose notation is a trap (0011 is octal)."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse references, with which a few lines can stand for gigabytes."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("a reference (*name)")
        return super().compose_node(parent, index)


def read_yml(path: str | os.PathLike[str]) -> Settings:
    """Return what an official configuration file says about the network.

    Raises
    ------
    ConfigError
        If the file cannot be read, is not a YAML mapping, or a value is of the wrong kind.
    """
    where = str(path)
    most = limits().yaml_bytes
    try:
        with open_regular(path, ConfigError, "an official conf.yml") as file:
            text = file.read(most + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(where, f"not readable ({error})", "an official conf.yml") from error
    if len(text) > most:
        allowed = f"at most {most} bytes of YAML"
        raise ConfigError(where, "a large file", allowed, remedy("yaml_bytes"))
    try:
        values = yaml.load(text, Loader=_TextLoader)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(where, f"not YAML of plain values ({reason})", "a mapping") from error
    if not isinstance(values, dict):
        raise ConfigError(where, f"a {type(values).__name__}", "a mapping of names to values")
    return read_settings(values, where)


def in_official_names(values: Mapping[Any, Any]) -> bool:
    """Tell whether values have the authors' names, rather than those of `SdtConfig`."""
    own = {field.name for field in fields(SdtConfig)}
    return any(key in _FIELDS and key not in own for key in values) and not any(
        key in own and key not in _FIELDS for key in values
    )


def read_settings(values: Mapping[Any, Any], where: str) -> Settings:
    """Translate the authors' names and values; text is accepted for numbers, as YAML has it.

    Keys that say nothing about the network are left out. So is ``mlp-ratio`` with a hyphen: the
    authors' code ignores it, too.

    Raises
    ------
    ConfigError
        If a value is of the wrong kind, or asks for neurons other than LIF.
    """
    settings: Settings = {}
    for key, (field, convert) in _FIELDS.items():
        if not _is_empty(values.get(key)):
            settings[field] = _converted(values[key], convert, f"{where}: {key}")
    spikes = values.get("spike_mode")
    if not _is_empty(spikes) and spikes != "lif":
        raise ConfigError(f"{where}: spike_mode", _shown(spikes), "'lif', as all published models")
    if "dataset" in settings:
        name = settings["dataset"].removeprefix("torch/").lower()
        # The key 'dvs_mode' exists in the arguments only, where it was derived from the name.
        settings.setdefault("dvs_mode", name.startswith("cifar10-dvs"))
        names = {"gesture": "dvs128-gesture", "cifar10-dvs-tet": "cifar10-dvs"}
        settings["dataset"] = names.get(name, name)
    return settings


def complete(settings: Settings, where: str) -> SdtConfig:
    """Fill the gaps of some settings and return the configuration.

    Parameters
    ----------
    settings : dict
        Fields of `SdtConfig`; pooling and neuron are always the authors' own.
    where : str
        Named in errors.

    Raises
    ------
    ConfigError
        If something is missing that has no default, or a value is out of range.
    """
    values = {**_DEFAULTS, **settings, **OFFICIAL}
    required = {field: key for key, (field, _) in _FIELDS.items() if field in _REQUIRED}
    missing = [key for field, key in required.items() if field not in values]
    if missing:
        raise ConfigError(
            where,
            f"missing {missing}",
            "an official configuration with " + ", ".join(required.values()),
            "pass a complete conf.yml, or the name of a preset",
        )
    values.update(_input_fields(values, where))
    return SdtConfig(**values)


def _input_fields(values: Settings, where: str) -> Settings:
    """Return normalisation and integer levels of the input, as far as they were not given."""
    dataset = values.get("dataset", "")
    if dataset in EVENT_LEVELS:
        return _levels(values, EVENT_LEVELS[dataset]) | {"input_mean": (), "input_std": ()}
    channels = values["in_channels"]
    mean, std = values.get("input_mean", ()), values.get("input_std", ())
    if not (mean and std):
        mean, std = NORMALISATION.get(dataset, ((), ()))
        if len(mean) != channels:
            return {}
    if len(mean) != channels or len(std) != channels or min(std) <= 0:
        raise ConfigError(
            f"{where}: mean, std",
            f"{len(mean)} and {len(std)} values for {channels} channels",
            "a mean and a positive standard deviation for each channel",
        )
    return _levels(values, image_levels(mean, std)) | {"input_mean": mean, "input_std": std}


def _levels(values: Settings, levels: InputLevels) -> Settings:
    if "input_scale" in values:
        return {}
    return {"input_scale": levels.scale, "input_range": (levels.low, levels.high)}


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and value in _EMPTY)


def _shown(value: object) -> str:
    """Return a short text for a value that may come from anywhere."""
    if isinstance(value, (str, int, float)):
        return repr(value)[:60]
    return f"a {type(value).__name__}"


def _converted(value: Any, convert: Callable[[Any], Any], where: str) -> Any:
    try:
        return convert(value)
    except (TypeError, ValueError, OverflowError) as error:
        reason = str(error)[:100]
        raise ConfigError(where, _shown(value), f"{_KINDS[convert]} ({reason})") from error


def _integer(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"\d{1,18}", value.strip()):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("not an integer")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError("not a number")
    number = float(value)
    if not isfinite(number):
        raise ValueError("not finite")
    return number


def _numbers(value: Any) -> tuple[float, ...]:
    if not isinstance(value, (list, tuple)):
        raise TypeError("not a list")
    return tuple(_number(entry) for entry in value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value


def _truth(value: Any) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise TypeError("not true or false")
    return value


def _sides(value: Any) -> tuple[int, int]:
    """Return height and width of a square, or of a pair of sides."""
    if isinstance(value, (list, tuple)):
        height, width = value
        return _integer(height), _integer(width)
    return _integer(value), _integer(value)


_KINDS: dict[Callable[[Any], Any], str] = {
    _integer: "an integer",
    _number: "a number",
    _numbers: "a list of numbers",
    _text: "text",
    _truth: "true or false",
    _sides: "an integer, or height and width",
}
_FIELDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "time_steps": ("timesteps", _integer),
    "dim": ("dim", _integer),
    "layer": ("depth", _integer),
    "num_heads": ("num_heads", _integer),
    "mlp_ratio": ("mlp_ratio", _number),
    "pooling_stat": ("pooling_stat", _text),
    "img_size": ("image_size", _sides),
    "in_channels": ("in_channels", _integer),
    "num_classes": ("num_classes", _integer),
    "dataset": ("dataset", _text),
    "dvs_mode": ("dvs_mode", _truth),
    "mean": ("input_mean", _numbers),
    "std": ("input_std", _numbers),
}
_REQUIRED = {"timesteps", "dim", "depth", "pooling_stat", "image_size", "num_classes"}
