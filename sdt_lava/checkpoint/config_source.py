"""Turning what the user gave as configuration into an `SdtConfig`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from sdt_lava.checkpoint.official_config import YML_SUFFIXES, complete, read_yml
from sdt_lava.errors import ConfigError
from sdt_lava.model.config import SdtConfig
from sdt_lava.model.presets import PRESETS

ConfigSource = str | os.PathLike[str] | Mapping[str, Any] | SdtConfig
# A configuration has about twenty short entries.
MAX_CONFIG_BYTES = 2**20


def resolve_config(source: ConfigSource) -> SdtConfig:
    """Return the configuration that ``source`` means.

    Parameters
    ----------
    source : SdtConfig, mapping, or str or path-like
        A configuration, its values, the name of a preset, or the path of a JSON file or of an
        official ``conf.yml``.

    Raises
    ------
    ConfigError
        If it is none of these or the values are wrong.
    """
    if isinstance(source, SdtConfig):
        return source
    if isinstance(source, Mapping):
        return SdtConfig.from_dict(source)
    if isinstance(source, str) and source in PRESETS:
        return PRESETS[source]
    if is_yml(source):
        return complete(read_yml(source), str(source))
    if isinstance(source, (str, os.PathLike)):
        return _read_json(Path(source))
    raise ConfigError(
        "config",
        f"a {type(source).__name__}",
        "a preset name, a JSON or conf.yml file, a dict or an SdtConfig",
    )


def is_yml(source: ConfigSource) -> TypeGuard[str | os.PathLike[str]]:
    """Tell whether a source is the path of an official configuration file."""
    return isinstance(source, (str, os.PathLike)) and Path(source).suffix in YML_SUFFIXES


def _read_json(path: Path) -> SdtConfig:
    where = str(path)
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_CONFIG_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(
            where,
            f"neither a preset nor a readable file ({error})",
            f"a JSON or conf.yml file, or one of {sorted(PRESETS)}",
        ) from error
    if len(text) > MAX_CONFIG_BYTES:
        raise ConfigError(where, "a large file", f"at most {MAX_CONFIG_BYTES} bytes of JSON")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(where, f"not JSON ({error})", "a JSON object") from error
    return SdtConfig.from_dict(values, where)
