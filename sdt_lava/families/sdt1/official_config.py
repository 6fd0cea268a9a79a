"""Read the authors' configurations: ``conf/*.yml`` files and the arguments in checkpoints.

Both are read into settings, a dict that contains only the `SdtConfig` fields in the source. Missing
fields are filled from other sources and finally from the defaults of the authors' command line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from math import isfinite
from reprlib import repr as short_repr
from typing import Any

import yaml

from sdt_lava.datasets.normalisation import DVS_MODE_DATASETS, EVENT_LEVELS, NORMALISATION
from sdt_lava.errors import ConfigError
from sdt_lava.families.arguments import check_arguments, is_empty, refuse_unknown, shown
from sdt_lava.families.input_levels import Settings, input_fields
from sdt_lava.families.sdt1.config import SdtConfig
from sdt_lava.io.files import open_regular
from sdt_lava.io.limits import limits, remedy

YML_SUFFIXES = (".yml", ".yaml")
_YAML_REMEDY = "write names and values in lines such as dim: 64"
_DEFAULTS = {"in_channels": 3, "mlp_ratio": 4.0, "num_heads": 8, "dvs_mode": False}
# Settings specific to the authors' networks: pooling of the pre-activation, and their neuron.
OFFICIAL = {"downsampling": "max", "neuron": "lif"}
_EVENT_CHANNELS = 2
_DVS_NOTE = (
    "dvs_mode is not given for data set {!r} and taken as false; if its code dilates spikes as "
    "for CIFAR10-DVS, set dvs_mode: true in the configuration"
)
# Our names of data sets, by names without hyphens; other names remain unchanged.
_DATASETS = {
    "gesture": "dvs128-gesture",
    "dvs128gesture": "dvs128-gesture",
    "dvsgesture": "dvs128-gesture",
    "cifar10dvstet": "cifar10-dvs-tet",
    "ncaltech101": "ncaltech101",
    "ncaltech": "ncaltech101",
    "imagenet1k": "imagenet",
    "ilsvrc2012": "imagenet",
}


class _TextLoader(yaml.BaseLoader):
    """Build only dicts, lists and text: numbers would be misread (0011 is octal in YAML)."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Reject references, with which a few lines can expand to gigabytes."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("a reference (*name)")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Reject a name with two values, because readers differ in which one they use."""
        values = super().construct_mapping(node, deep)
        if len(values) != len(node.value):
            for name, value in node.value:
                key = self.construct_object(name, deep=True)
                if self.construct_object(value, deep=True) != values[key]:
                    raise yaml.YAMLError(f"{short_repr(key)} has two values")
        return values


def read_yml(path: str | os.PathLike[str]) -> Settings:
    """Return the settings of the network in an official configuration file.

    Raises
    ------
    ConfigError
        If the file cannot be read, is not a YAML mapping, or a value is impossible.
    """
    return read_settings(read_mapping(path), str(path))


def read_mapping(path: str | os.PathLike[str]) -> dict[Any, Any]:
    """Return the names and values of a YAML file, all values as text.

    Raises
    ------
    ConfigError
        If the file cannot be read or is not a YAML mapping.
    """
    where = str(path)
    limit = limits().yaml_bytes
    try:
        with open_regular(path, ConfigError, "an official conf.yml") as file:
            text = file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(where, f"not readable ({error})", "an official conf.yml") from error
    if len(text) > limit:
        allowed = f"at most {limit} bytes of YAML"
        raise ConfigError(where, "a large file", allowed, remedy("yaml_bytes"))
    try:
        values = yaml.load(text, Loader=_TextLoader)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        problem = f"not YAML of plain values ({reason})"
        raise ConfigError(where, problem, "a mapping", _YAML_REMEDY) from error
    if not isinstance(values, dict):
        problem, allowed = f"a {type(values).__name__}", "a mapping of names to values"
        raise ConfigError(where, problem, allowed, _YAML_REMEDY)
    return values


def in_official_names(values: Mapping[Any, Any]) -> bool:
    """Return whether values have the authors' names rather than those of `SdtConfig`."""
    field_names = {field.name for field in fields(SdtConfig)}
    return any(key in _READ and key not in field_names for key in values) and not any(
        key in field_names and key not in _READ for key in values
    )


def in_own_names(values: Mapping[Any, Any]) -> bool:
    """Return whether all names are those of `SdtConfig`, and some are never used by the authors."""
    field_names = {field.name for field in fields(SdtConfig)}
    return set(values) <= field_names and not set(values) <= set(_FIELDS)


def read_settings(
    values: Mapping[Any, Any], where: str, unknown: list[str] | None = None
) -> Settings:
    """Translate the authors' names and values; numbers may be text, as in YAML.

    Arguments that describe the training are ignored. So is ``mlp-ratio`` with a hyphen, which the
    authors' code ignores, too.

    Parameters
    ----------
    values : mapping
        Arguments by name.
    where : str
        Name of the source in errors.
    unknown : list of str, optional
        List to which the names of unknown arguments are appended; without it, they are an error.

    Raises
    ------
    ConfigError
        If a value has the wrong type, describes another network or contradicts the value under
        another name of the same field, or if an argument is unknown.
    """
    unknown_names = check_arguments(values, _READ, where)
    if unknown is None:
        refuse_unknown(unknown_names, where)
    else:
        unknown += unknown_names
    settings: Settings = {}
    names: dict[str, str] = {}
    for key, (field, convert) in {**_FIELDS, **_ALIASES}.items():
        if is_empty(values.get(key)):
            continue
        value = _converted(values[key], convert, f"{where}: {key}")
        if settings.setdefault(field, value) != value:
            raise ConfigError(
                f"{where}: {key}",
                f"{shown(values[key])}, and {shown(values[names[field]])} as {names[field]}",
                "one value",
                "leave out the one that the training did not use",
            )
        names.setdefault(field, key)
    _read_sides(values, settings, where)
    if "dataset" in settings:
        settings["dataset"] = _dataset(settings["dataset"])
        is_named = settings["dataset"] in EVENT_LEVELS or settings["dataset"] in NORMALISATION
        # The key 'dvs_mode' exists only in arguments, where it was derived from the name.
        if is_named or settings["dataset"].startswith("cifar10-dvs"):
            settings.setdefault("dvs_mode", _sets_dvs_mode(settings["dataset"]))
    return settings


def _read_sides(values: Mapping[Any, Any], settings: Settings, where: str) -> None:
    """Read the sides of the image if they are listed one by one or with the channels."""
    height, width = (values.get(f"img_size_{side}") for side in "hw")
    sides: list[tuple[str, Any]] = [("img_size_h, img_size_w", [height, width])]
    size = values.get("input_size")
    if isinstance(size, (list, tuple)) and len(size) == 3:
        channels = _converted(size[0], _integer, f"{where}: input_size")
        if settings.setdefault("in_channels", channels) != channels:
            problem = f"{channels} channels, and {settings['in_channels']} as in_channels"
            raise ConfigError(f"{where}: input_size", problem, "one value")
        size = size[1:]
    sides.append(("input_size", size))
    for name, value in sides:
        if is_empty(value) or value == [None, None]:
            continue
        pair = _converted(value, _sides, f"{where}: {name}")
        if settings.setdefault("image_size", pair) != pair:
            problem = f"{pair}, and {settings['image_size']} as img_size"
            raise ConfigError(f"{where}: {name}", problem, "one size", "leave out one of them")


def _dataset(name: str) -> str:
    """Return our name of a data set."""
    plain = name.lower().removeprefix("torch/").removeprefix("tfds/")
    return _DATASETS.get(re.sub(r"[-_ ]", "", plain), plain)


def _sets_dvs_mode(dataset: str) -> bool:
    return dataset in DVS_MODE_DATASETS or dataset.startswith("cifar10-dvs")


def complete(settings: Settings, where: str, notes: list[str] | None = None) -> SdtConfig:
    """Fill gaps in settings and return the configuration.

    Parameters
    ----------
    settings : dict
        Fields of `SdtConfig`; pooling and neuron are always those of the authors.
    where : str
        Name of the source in errors.
    notes : list of str, optional
        List to which notes on assumptions and the origin of the input levels are appended.

    Raises
    ------
    ConfigError
        If a setting without default is missing, or a value is out of range.
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
    level_fields, note = input_fields(values, where)
    values.update(level_fields)
    config = SdtConfig(**values)
    if notes is not None:
        scale, (low, high) = config.input_scale, config.input_range
        notes.append(f"input levels {low}..{high}, {scale:g} a unit: {note}")
        if "dvs_mode" not in settings and config.in_channels == _EVENT_CHANNELS:
            notes.append(_DVS_NOTE.format(config.dataset or "unnamed"))
    return config


def _converted(value: Any, convert: Callable[[Any], Any], where: str) -> Any:
    try:
        return convert(value)
    except (TypeError, ValueError, OverflowError) as error:
        reason = str(error)[:100]
        raise ConfigError(where, shown(value), f"{_KINDS[convert]} ({reason})") from error


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
    """Return height and width from the side of a square or a pair of sides."""
    if isinstance(value, (list, tuple)):
        height, width = value
        return _integer(height), _integer(width)
    return _integer(value), _integer(value)


def _range(value: Any) -> tuple[int, int]:
    """Return the smallest and the largest level from a pair."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise TypeError("not two integers")
    low, high = (
        int(side) if isinstance(side, str) and re.fullmatch(r"-?\d{1,18}", side.strip()) else side
        for side in value
    )
    if not all(isinstance(side, int) and not isinstance(side, bool) for side in (low, high)):
        raise TypeError("not two integers")
    return low, high


_KINDS: dict[Callable[[Any], Any], str] = {
    _integer: "an integer",
    _number: "a number",
    _numbers: "a list of numbers",
    _text: "text",
    _truth: "true or false",
    _sides: "an integer, or height and width",
    _range: "the smallest and the largest level",
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
# Names in other scripts and in our notation.
_ALIASES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("T", "timesteps", "time_step", "num_steps"), _FIELDS["time_steps"]),
    **dict.fromkeys(("embed_dim", "embed_dims"), _FIELDS["dim"]),
    **dict.fromkeys(("depth", "depths", "layers", "num_layers", "num_blocks"), _FIELDS["layer"]),
    **dict.fromkeys(("num_head", "n_heads", "heads"), _FIELDS["num_heads"]),
    "mlp_ratios": _FIELDS["mlp_ratio"],
    **dict.fromkeys(("image_size", "imgsz", "img_sz"), _FIELDS["img_size"]),
    **dict.fromkeys(("in_chans", "in_channel", "input_channels"), _FIELDS["in_channels"]),
    **dict.fromkeys(("nb_classes", "num_class", "n_classes"), _FIELDS["num_classes"]),
    "dvs": _FIELDS["dvs_mode"],
    "input_mean": _FIELDS["mean"],
    "input_std": _FIELDS["std"],
    "input_scale": ("input_scale", _number),
    "input_range": ("input_range", _range),
}
_READ = frozenset((*_FIELDS, *_ALIASES, "img_size_h", "img_size_w", "input_size"))
_REQUIRED = {"timesteps", "dim", "depth", "pooling_stat", "image_size", "num_classes"}
