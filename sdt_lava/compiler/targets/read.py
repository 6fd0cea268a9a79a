"""Targets from TOML files: the ones that come along, and the user's own."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import tomli

from sdt_lava.compiler.targets.description import LIMITS, Board, Limit, Target
from sdt_lava.errors import TargetError

BUILT_IN_TARGETS = ("loihi2", "loihi1", "lava-cpu")
# A description is a page of text; more is no description.
MAX_FILE_BYTES = 1_000_000
# Larger than any count or range of a chip, and safe in 64-bit products.
MAX_VALUE = 2**40

_TOP_KEYS = {"title", "kinds", "kinds_source", "default_board", "boards", "limits"}


def load_target(name: str | Path) -> Target:
    """Return a target by name or from a TOML file.

    Parameters
    ----------
    name : str or path
        'loihi2', 'loihi1', 'lava-cpu', or the path of a ``.toml`` file of the same form.

    Returns
    -------
    Target
        The description.

    Raises
    ------
    TargetError
        If there is no such target, or its file is not a valid description.
    """
    if str(name) in BUILT_IN_TARGETS:
        text = resources.files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
        return read_target(str(name), text)
    path = Path(name)
    if path.suffix != ".toml":
        raise TargetError(
            "target", repr(str(name)), f"one of {list(BUILT_IN_TARGETS)}, or a .toml file"
        )
    return read_target(path.stem, _read_text(path))


def read_target(name: str, text: str) -> Target:
    """Read a target's description.

    Parameters
    ----------
    name : str
        Name of the target.
    text : str
        The description, in TOML.

    Raises
    ------
    TargetError
        Naming the first entry that is missing, unknown or of the wrong type.
    """
    where = f"target {name!r}"
    try:
        content = tomli.loads(text)
    except (tomli.TOMLDecodeError, RecursionError) as error:
        raise TargetError(where, f"no TOML: {error}") from None
    _check_keys(where, content, _TOP_KEYS, required={"title", "kinds"})
    boards = {
        key: _board(f"{where}, board {key!r}", key, value)
        for key, value in _table(where, content, "boards").items()
    }
    limits = {
        key: _limit(f"{where}, limit {key!r}", key, value)
        for key, value in _table(where, content, "limits").items()
    }
    default_board = _text(where, content, "default_board", "")
    if default_board not in boards and (default_board or boards):
        raise TargetError(
            where, f"default_board = {default_board!r}", f"one of the boards {list(boards)}"
        )
    return Target(
        name=name,
        title=_text(where, content, "title", name),
        kinds=_kinds(where, content["kinds"]),
        kinds_source=_text(where, content, "kinds_source", ""),
        limits=limits,
        boards=boards,
        default_board=default_board,
    )


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise TargetError(str(path), f"more than {MAX_FILE_BYTES} bytes")
        return data.decode("utf-8")
    except OSError as error:
        raise TargetError(str(path), f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TargetError(str(path), "no UTF-8 text", "a TOML file") from None


def _check_keys(where: str, table: dict[str, Any], allowed: set[str], required: set[str]) -> None:
    unknown = sorted(set(table) - allowed)
    if unknown:
        raise TargetError(where, f"unknown entry {unknown[0]!r}", f"one of {sorted(allowed)}")
    missing = sorted(required - set(table))
    if missing:
        raise TargetError(where, f"no entry {missing[0]!r}", f"entries {sorted(required)}")


def _table(where: str, content: dict[str, Any], key: str) -> dict[str, Any]:
    value = content.get(key, {})
    if not isinstance(value, dict):
        raise TargetError(where, f"{key} is {type(value).__name__}", f"tables [{key}.<name>]")
    return value


def _text(where: str, table: dict[str, Any], key: str, default: str) -> str:
    value = table.get(key, default)
    if not isinstance(value, str):
        raise TargetError(where, f"{key} = {value!r}", "a text in quotes")
    return value


def _kinds(where: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(kind, str) for kind in value):
        raise TargetError(where, f"kinds = {value!r}", "a list of node kinds")
    return tuple(value)


def _integer(where: str, table: dict[str, Any], key: str) -> int:
    value = table[key]
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > MAX_VALUE:
        raise TargetError(where, f"{key} = {value!r}", "an integer")
    return value


def _board(where: str, name: str, value: Any) -> Board:
    if not isinstance(value, dict):
        raise TargetError(where, repr(value), "a table with chips and source")
    _check_keys(where, value, {"chips", "source"}, required={"chips"})
    chips = _integer(where, value, "chips")
    if chips < 1:
        raise TargetError(where, f"chips = {chips}", "at least 1")
    return Board(name, chips, _text(where, value, "source", ""))


def _limit(where: str, name: str, value: Any) -> Limit:
    if name not in LIMITS:
        raise TargetError(where, "no limit of that name", f"one of {sorted(LIMITS)}")
    if not isinstance(value, dict):
        raise TargetError(where, repr(value), "a table with value and source")
    _check_keys(where, value, {"value", "source"}, required={"value", "source"})
    number = _integer(where, value, "value")
    if number < 0 and not name.endswith("_min"):
        raise TargetError(where, f"value = {number}", "not negative")
    return Limit(number, _text(where, value, "source", ""))
