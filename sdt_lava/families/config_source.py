"""Convert what a user passes as a configuration to the configuration of a family.

The authors' notation of arguments, and YAML files, are those of SDT-V1.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from sdt_lava.errors import ConfigError
from sdt_lava.families.configuration import DEFAULT_FAMILY, FAMILY_ENTRY, FamilyConfig
from sdt_lava.families.family import Family
from sdt_lava.families.input_levels import Settings
from sdt_lava.families.own_notation import typed
from sdt_lava.families.registry import (
    FAMILIES,
    family_in,
    family_of,
    from_plain,
    is_config,
    presets,
)
from sdt_lava.families.sdt1.official_config import (
    YML_SUFFIXES,
    complete,
    in_official_names,
    in_own_names,
    read_mapping,
    read_settings,
)
from sdt_lava.io.file_kinds import CONFIGURATION, misplaced
from sdt_lava.io.files import open_regular
from sdt_lava.io.json_text import parse_json
from sdt_lava.io.limits import limits, remedy
from sdt_lava.io.toml_tables import TomlTable, read_description

CONFIG_SUFFIXES = (".json", ".toml", *YML_SUFFIXES)
_JSON_REMEDY = 'write an object of names and values, such as {"dim": 64, "depth": 1}'
_LEVELS = ("input_scale", "input_range", "input_mean", "input_std")


class OfficialValues(dict[Any, Any]):
    """Arguments of a training, in the authors' notation regardless of their names."""


ConfigSource = str | os.PathLike[str] | Mapping[str, Any] | Namespace | FamilyConfig


def resolve_config(source: ConfigSource) -> FamilyConfig:
    """Return the configuration described by ``source``.

    Parameters
    ----------
    source : FamilyConfig, mapping, Namespace, or str or path-like
        A configuration, its values, the arguments of the authors' training script, the name of a
        preset, or the path of a JSON, YAML or TOML file, such as an official ``conf.yml``. Values
        may have the authors' names (``time_steps``, ``layer``, ``img_size``) or those of
        `SdtConfig`. Values of another family name it: ``family``.

    Raises
    ------
    ConfigError
        If the source is none of these or its values are wrong.
    """
    if (config := _named_config(source)) is not None:
        return config
    content = read_content(source)
    if is_of_other_family(content):
        return from_plain(content, source_label(source))
    settings = official_settings(content, source_label(source))
    if settings is not None:
        return complete(settings, source_label(source))
    return from_plain(content, source_label(source))


def is_of_other_family(content: Mapping[Any, Any]) -> bool:
    """Tell whether values name a family other than SDT-V1; the authors' arguments name none."""
    if isinstance(content, OfficialValues):
        return False
    return bool(content.get(FAMILY_ENTRY, DEFAULT_FAMILY) != DEFAULT_FAMILY)


def source_family(source: ConfigSource) -> Family:
    """Return the family whose networks a source describes.

    A source that cannot be read counts as one of SDT-V1, whose import then raises the error.
    """
    if (config := _named_config(source)) is not None:
        return family_of(config)
    try:
        content = read_content(source)
        if is_of_other_family(content):
            return family_in(content, source_label(source))
    except ConfigError:
        pass
    return FAMILIES[DEFAULT_FAMILY]


def _named_config(source: ConfigSource) -> FamilyConfig | None:
    """Return a configuration, or that of the preset with this name; None for other sources."""
    if is_config(source):
        return cast(FamilyConfig, source)
    return presets().get(source) if isinstance(source, str) else None


def read_source(source: ConfigSource) -> Settings:
    """Return an SDT-V1 source's settings, without defaults for those that it does not contain.

    Returns
    -------
    dict
        Fields of `SdtConfig`.

    Raises
    ------
    ConfigError
        As `resolve_config`.
    """
    if (config := _named_config(source)) is not None:
        return dict(vars(config))
    content = read_content(source)
    settings = official_settings(content, source_label(source))
    if settings is not None:
        return settings
    settings = dict(vars(from_plain(content, source_label(source))))
    for field in _LEVELS:
        if field not in content:
            del settings[field]
    return settings


def official_settings(content: Mapping[Any, Any], where: str) -> Settings | None:
    """Return the settings for values in the authors' notation, or None for other values.

    Raises
    ------
    ConfigError
        If a value has the wrong type or describes another network.
    """
    if isinstance(content, OfficialValues) or in_official_names(content):
        return read_settings(content, where)
    return None


def read_content(source: ConfigSource) -> Mapping[Any, Any]:
    """Return the names and values of a source that is neither a preset nor a configuration.

    Raises
    ------
    ConfigError
        If a file cannot be read, or the source is of another type.
    """
    if isinstance(source, Namespace):
        return OfficialValues(vars(source))
    if isinstance(source, Mapping):
        return source
    if not isinstance(source, (str, os.PathLike)):
        raise ConfigError(
            "config",
            f"a {type(source).__name__}",
            "a preset name, a JSON or conf.yml file, a dict, a Namespace or an SdtConfig",
        )
    suffix = Path(source).suffix.lower()
    if suffix in YML_SUFFIXES:
        values = read_mapping(source)
        return typed(values) if in_own_names(values) else OfficialValues(values)
    if suffix == ".toml":
        text = read_description(Path(source), ConfigError)
        content: dict[Any, Any] = TomlTable.parse(str(source), text, ConfigError).content
        return content
    return _read_json(Path(source))


def source_label(source: ConfigSource) -> str:
    """Return the name of a source for messages."""
    return str(source) if isinstance(source, (str, os.PathLike)) else "the configuration"


def _read_json(path: Path) -> Mapping[Any, Any]:
    where = str(path)
    limit = limits().config_bytes
    try:
        with open_regular(path, ConfigError, "a JSON or conf.yml file") as file:
            text = file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(
            where,
            f"neither a preset nor a readable file ({error})",
            f"a JSON or conf.yml file, or one of {sorted(presets())}",
            "name a file that exists, or a preset",
        ) from error
    if len(text) > limit:
        allowed = f"at most {limit} bytes of JSON"
        raise ConfigError(where, "a large file", allowed, remedy("config_bytes"))
    try:
        values = parse_json(text)
    except (ValueError, RecursionError) as error:
        problem, advice = misplaced(where, CONFIGURATION) or (f"not JSON ({error})", _JSON_REMEDY)
        raise ConfigError(where, problem, "a JSON object", advice) from error
    if not isinstance(values, dict):
        problem, allowed = f"a {type(values).__name__}", "a mapping of names to values"
        raise ConfigError(where, problem, allowed, _JSON_REMEDY)
    return values
