"""Read targets from TOML files: the built-in ones and the user's own."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from sdt_lava.compiler.target import LIMITS, Board, Limit, Target
from sdt_lava.errors import TargetError
from sdt_lava.io.toml_tables import TomlTable, read_description

BUILT_IN_TARGETS = ("loihi2", "loihi1", "lava-cpu")
# Exceeds any count or range of a chip, and cannot overflow 64-bit products.
MAX_VALUE = 2**40

_TOP_KEYS = {
    "title",
    "kinds",
    "kinds_source",
    "processes",
    "default_board",
    "boards",
    "limits",
}


def load_target(name: str | Path) -> Target:
    """Load a target by its name or from a TOML file.

    Parameters
    ----------
    name : str or path
        'loihi2', 'loihi1', 'lava-cpu', or the path of a ``.toml`` file in the same format.

    Returns
    -------
    Target
        The target's description.

    Raises
    ------
    TargetError
        If the target does not exist, or its file is not a valid description.
    """
    if str(name) in BUILT_IN_TARGETS:
        text = resources.files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
        return read_target(str(name), text)
    path = Path(name)
    if path.suffix != ".toml":
        raise TargetError(
            "target", repr(str(name)), f"one of {list(BUILT_IN_TARGETS)}, or a .toml file"
        )
    return read_target(path.stem, read_description(path, TargetError))


def read_target(name: str, text: str) -> Target:
    """Parse the description of a target.

    Parameters
    ----------
    name : str
        Name of the target.
    text : str
        The description, in TOML.

    Raises
    ------
    TargetError
        If an entry is missing, unknown or of the wrong type; names the first one.
    """
    where = f"target {name!r}"
    table = TomlTable.parse(where, text, TargetError)
    table.check_keys(_TOP_KEYS, required={"title", "kinds"})
    boards = {key: _board(key, board) for key, board in table.tables("boards", "board").items()}
    limits = {key: _limit(key, limit) for key, limit in table.tables("limits", "limit").items()}
    default_board = table.text("default_board")
    if default_board not in boards and (default_board or boards):
        raise TargetError(
            where, f"default_board = {default_board!r}", f"one of the boards {list(boards)}"
        )
    return Target(
        name=name,
        title=table.text("title"),
        kinds=table.texts("kinds"),
        kinds_source=table.text("kinds_source"),
        processes=table.texts("processes"),
        limits=limits,
        boards=boards,
        default_board=default_board,
    )


def _board(name: str, table: TomlTable) -> Board:
    table.check_keys({"chips", "source", "partitions"}, required={"chips"})
    chips = table.integer("chips", 1, MAX_VALUE)
    return Board(name, chips, table.text("source"), table.texts("partitions"))


def _limit(name: str, table: TomlTable) -> Limit:
    if name not in LIMITS:
        raise TargetError(table.where, "no limit of that name", f"one of {sorted(LIMITS)}")
    table.check_keys({"value", "source"}, required={"value", "source"})
    lowest = -MAX_VALUE if name.endswith("_min") else 0
    return Limit(table.integer("value", lowest, MAX_VALUE), table.text("source"))
