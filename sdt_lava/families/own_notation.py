"""Read configurations in the notation of `SdtConfig`, with values from JSON, TOML or YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sdt_lava.errors import ConfigError
from sdt_lava.families.arguments import is_empty, shown
from sdt_lava.families.configuration import FAMILY_ENTRY
from sdt_lava.families.input_levels import Settings
from sdt_lava.families.sdt1.config import SdtConfig
from sdt_lava.support.text import quoted

FIELDS = tuple(field.name for field in fields(SdtConfig))
# Notation of an entry, by the suffix of the file.
_FORMS = {".json": '"{}": {}', ".toml": "{} = {}"}
_YAML_FORM = "{}: {}"


def entry(where: str, field: str, value: str) -> str:
    """Return the line that sets a field to a value in a file."""
    return _FORMS.get(Path(where).suffix.lower(), _YAML_FORM).format(field, value)


def own_settings(content: Mapping[Any, Any], where: str) -> Settings:
    """Return the fields of `SdtConfig` set by values, with lists converted to tuples.

    Raises
    ------
    ConfigError
        If a name is not a field of `SdtConfig`.
    """
    content = {name: value for name, value in content.items() if name != FAMILY_ENTRY}
    for name in content:
        if name in FIELDS:
            continue
        near = get_close_matches(str(name), FIELDS, 1)
        remedy = f"write {near[0]}" if near else "leave it out"
        raise ConfigError(where, f"unknown field {shown(name)}", f"fields {sorted(FIELDS)}", remedy)
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
    }


def typed(content: Mapping[Any, Any]) -> dict[Any, Any]:
    """Convert the values of a YAML file, which are all text, to the types of their fields.

    A value that cannot be converted remains text, which the configuration then rejects. Empty
    values are omitted.
    """
    return {
        name: _TYPES.get(name, _same)(value)
        for name, value in content.items()
        if not is_empty(value)
    }


def _same(value: Any) -> Any:
    return value


def _integer(value: Any) -> Any:
    # Limited to the digits of valid integers, because int() is slow for thousands of digits.
    if isinstance(value, str) and len(value) < 20 and value.lstrip("+-").isdecimal():
        return int(value)
    return value


def _number(value: Any) -> Any:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _truth(value: Any) -> Any:
    is_text = isinstance(value, str)
    return {"true": True, "false": False}.get(value.lower(), value) if is_text else value


def _each(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: list(map(convert, value)) if isinstance(value, list) else value


_TYPES: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(
        ("in_channels", "num_classes", "dim", "depth", "timesteps", "num_heads"), _integer
    ),
    **dict.fromkeys(("mlp_ratio", "threshold", "attention_threshold", "input_scale"), _number),
    **dict.fromkeys(("image_size", "input_range"), _each(_integer)),
    **dict.fromkeys(("input_mean", "input_std"), _each(_number)),
    "dvs_mode": _truth,
}


def set_remedy(where: str, field: str) -> str:
    """Return the advice to set a field to another value."""
    return f"set {field} in {quoted(where)}"
