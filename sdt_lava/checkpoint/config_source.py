"""Turning what the user gave as configuration into an `SdtConfig`."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdt_lava.checkpoint.official_config import (
    YML_SUFFIXES,
    Settings,
    complete,
    in_official_names,
    read_settings,
    read_yml,
)
from sdt_lava.errors import ConfigError
from sdt_lava.files import open_regular
from sdt_lava.limits import limits, remedy
from sdt_lava.model.config import SdtConfig
from sdt_lava.model.presets import PRESETS

ConfigSource = str | os.PathLike[str] | Mapping[str, Any] | Namespace | SdtConfig


def resolve_config(source: ConfigSource) -> SdtConfig:
    """Return the configuration that ``source`` means.

    Parameters
    ----------
    source : SdtConfig, mapping, Namespace, or str or path-like
        A configuration, its values, the arguments of the authors' training, the name of a
        preset, or the path of a JSON file or of an official ``conf.yml``. Values may have the
        authors' names (``time_steps``, ``layer``, ``img_size``) or those of `SdtConfig`.

    Raises
    ------
    ConfigError
        If it is none of these or the values are wrong.
    """
    if isinstance(source, SdtConfig):
        return source
    settings = official_settings(source)
    if settings is not None:
        return complete(settings, source_label(source))
    if isinstance(source, Mapping):
        return SdtConfig.from_dict(source)
    if isinstance(source, str) and source in PRESETS:
        return PRESETS[source]
    if isinstance(source, (str, os.PathLike)):
        return _read_json(Path(source))
    raise ConfigError(
        "config",
        f"a {type(source).__name__}",
        "a preset name, a JSON or conf.yml file, a dict, a Namespace or an SdtConfig",
    )


def official_settings(source: ConfigSource) -> Settings | None:
    """Return what a source in the authors' notation says, or None for any other source.

    Raises
    ------
    ConfigError
        If a file cannot be read or a value is of the wrong kind.
    """
    if isinstance(source, Namespace):
        return read_settings(vars(source), source_label(source))
    if isinstance(source, Mapping) and in_official_names(source):
        return read_settings(source, source_label(source))
    if isinstance(source, (str, os.PathLike)) and Path(source).suffix in YML_SUFFIXES:
        return read_yml(source)
    return None


def source_label(source: ConfigSource) -> str:
    """Return what to call a source in messages."""
    return str(source) if isinstance(source, (str, os.PathLike)) else "the configuration"


def _read_json(path: Path) -> SdtConfig:
    where = str(path)
    most = limits().config_bytes
    try:
        with open_regular(path, ConfigError, "a JSON or conf.yml file") as file:
            text = file.read(most + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(
            where,
            f"neither a preset nor a readable file ({error})",
            f"a JSON or conf.yml file, or one of {sorted(PRESETS)}",
        ) from error
    if len(text) > most:
        allowed = f"at most {most} bytes of JSON"
        raise ConfigError(where, "a large file", allowed, remedy("config_bytes"))
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(where, f"not JSON ({error})", "a JSON object") from error
    return SdtConfig.from_dict(values, where)
