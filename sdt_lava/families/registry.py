"""The families that the library knows, by name; each registers what its folder describes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from reprlib import repr as short_repr
from types import MappingProxyType
from typing import Any

from sdt_lava.errors import ConfigError
from sdt_lava.families.configuration import DEFAULT_FAMILY, FAMILY_ENTRY, FamilyConfig
from sdt_lava.families.family import Family
from sdt_lava.families.formula import Formula

_families: dict[str, Family] = {}
FAMILIES: Mapping[str, Family] = MappingProxyType(_families)


def register(family: Family) -> None:
    """Add a family, so that files, presets and commands find it.

    Raises
    ------
    ConfigError
        If its name or the name of a preset is taken, or its configurations have another name.
    """
    if family.name in _families:
        raise ConfigError("family", f"{family.name!r} twice", "a name of its own")
    if family.config.family != family.name:
        found = f"{family.name!r} with configurations of {family.config.family!r}"
        raise ConfigError("family", found, "one name")
    taken = sorted(set(presets()) & set(family.presets))
    if taken:
        raise ConfigError(f"presets of {family.name!r}", f"{taken} twice", "names of their own")
    _families[family.name] = family


def family_of(config: FamilyConfig) -> Family:
    """Return the family of a configuration."""
    return _families[config.family]


def is_config(value: Any) -> bool:
    """Tell whether an object is a configuration of any family."""
    return isinstance(value, tuple(family.config for family in _families.values()))


def family_in(content: Mapping[Any, Any], where: str) -> Family:
    """Return the family that plain values name; by default SDT-V1.

    Raises
    ------
    ConfigError
        If no family has that name.
    """
    name = content.get(FAMILY_ENTRY, DEFAULT_FAMILY)
    if not isinstance(name, str) or name not in _families:
        near = get_close_matches(name, _families, 1) if isinstance(name, str) else []
        raise ConfigError(
            f"{where}: {FAMILY_ENTRY}", short_repr(name), f"one of {sorted(_families)}",
            f"write {near[0]}" if near else "",
        )  # fmt: skip
    return _families[name]


def from_plain(values: Mapping[Any, Any], where: str) -> FamilyConfig:
    """Build the configuration that plain values describe, of the family that they name.

    Raises
    ------
    ConfigError
        If the family or a key is unknown, a required key is missing or a value is out of range.
    """
    fields = {name: value for name, value in values.items() if name != FAMILY_ENTRY}
    return family_in(values, where).config.from_dict(fields, where)


def presets() -> dict[str, FamilyConfig]:
    """Return the presets of all families, by name."""
    return {name: config for f in _families.values() for name, config in f.presets.items()}


def preset(name: str, **changes: Any) -> FamilyConfig:
    """Return the preset of any family called ``name``, with fields replaced by ``changes``.

    Raises
    ------
    ConfigError
        If there is no preset with that name, or a change is out of range.
    """
    known = presets()
    if name not in known:
        raise ConfigError("preset", repr(name), f"one of {sorted(known)}")
    return replace(known[name], **changes)


def formula_of(config: FamilyConfig) -> Formula:
    """Return the paper's accounting of a network.

    Raises
    ------
    ConfigError
        If the family has none.
    """
    family = family_of(config)
    if family.formula is None:
        having = [name for name, other in _families.items() if other.formula is not None]
        found = f"{family.name!r}, whose paper has no formula of its energy"
        raise ConfigError("family", found, f"one of {having}")
    return family.formula


def recognise(state: Any) -> Family | None:
    """Return the family whose authors' layout a state dict has; None for our own ones."""
    if not isinstance(state, dict):
        return _families[DEFAULT_FAMILY]  # whose import says what is wrong with it
    # SDT-V1 is registered first and thus asked last, since it takes all that is not its own layout.
    return next((f for f in reversed(_families.values()) if f.recognises(state)), None)
