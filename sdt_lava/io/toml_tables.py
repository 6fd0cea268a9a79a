"""Read TOML descriptions written by users, checking every entry."""

from __future__ import annotations

import sys
from pathlib import Path
from reprlib import repr as short_repr
from typing import Any

from sdt_lava.errors import SdtLavaError
from sdt_lava.io.files import open_regular
from sdt_lava.io.limits import limits, remedy

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Dots in a line: each dot of a name like a.b.c makes a table, which takes quadratic time in total.
_MOST_DOTS = 50


class TomlTable:
    """A table of a TOML document, with checked access.

    Parameters
    ----------
    where : str
        Name of the description in errors.
    content : dict
        The parsed table.
    error_type : type of SdtLavaError
        Type of the errors about invalid entries.
    """

    def __init__(self, where: str, content: Any, error_type: type[SdtLavaError]) -> None:
        if not isinstance(content, dict):
            raise error_type(where, short_repr(content), "a table of named entries")
        self.where = where
        self.content = content
        self.error_type = error_type

    @classmethod
    def parse(cls, where: str, text: str, error_type: type[SdtLavaError]) -> TomlTable:
        """Parse a TOML document."""
        for number, line in enumerate(text.split("\n"), 1):
            if line.count(".") > _MOST_DOTS:
                problem = f"line {number} with {line.count('.')} dots"
                remedy = "break the line, or leave tables of tables out"
                raise error_type(where, problem, f"at most {_MOST_DOTS} in a line", remedy)
        try:
            return cls(where, tomllib.loads(text), error_type)
        # Both the parser, and Python for numbers of thousands of digits, raise ValueError.
        except (ValueError, RecursionError) as error:
            problem, remedy = f"no TOML: {str(error)[:200]}", "correct the line that is named"
            raise error_type(where, problem, "a TOML document", remedy) from None

    def check_keys(self, allowed: set[str], required: set[str]) -> None:
        """Check that no entry is unknown and no required entry is missing."""
        unknown = sorted(set(self.content) - allowed)
        if unknown:
            raise self.error_type(
                self.where, f"unknown entry {short_repr(unknown[0])}", f"one of {sorted(allowed)}"
            )
        missing = sorted(required - set(self.content))
        if missing:
            raise self.error_type(
                self.where, f"no entry {missing[0]!r}", f"entries {sorted(required)}"
            )

    def tables(self, key: str, what: str) -> dict[str, TomlTable]:
        """Return the tables ``[key.<name>]`` by name; empty if the entry is missing."""
        value = self.content.get(key, {})
        if not isinstance(value, dict):
            raise self.error_type(
                self.where, f"{key} is {type(value).__name__}", f"tables [{key}.<name>]"
            )
        return {
            name: TomlTable(f"{self.where}, {what} {short_repr(name)}", table, self.error_type)
            for name, table in value.items()
        }

    def text(self, key: str, default: str = "") -> str:
        """Return a string entry."""
        value = self.content.get(key, default)
        if not isinstance(value, str):
            raise self._wrong(key, "a text in quotes")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return an entry that is a list of strings; empty if it is missing."""
        value = self.content.get(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise self._wrong(key, "a list of texts in quotes")
        return tuple(value)

    def integer(self, key: str, low: int, high: int) -> int:
        """Return an integer entry from ``low`` to ``high``."""
        value = self.content.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._wrong(key, f"an integer, {low} to {high}")
        return value

    def number(self, key: str, low: float, high: float) -> float:
        """Return a numeric entry from ``low`` to ``high``."""
        value = self.content.get(key)
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise self._wrong(key, "a number")
        if not low <= value <= high:  # also true for NaN
            raise self._wrong(key, f"{low:g} to {high:g}")
        return float(value)

    def _wrong(self, key: str, allowed: str) -> SdtLavaError:
        problem = f"{key} = {short_repr(self.content.get(key))}"
        return self.error_type(self.where, problem, allowed)


def read_description(path: Path, error_type: type[SdtLavaError]) -> str:
    """Read the text of a description.

    Raises
    ------
    error_type
        If the file cannot be read, is not text, or is too long.
    """
    limit = limits().description_bytes
    try:
        with open_regular(path, error_type, "a TOML file") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            problem = f"more than {limit} bytes"
            raise error_type(str(path), problem, "a page of text", remedy("description_bytes"))
        return data.decode("utf-8")
    except OSError as error:
        raise error_type(str(path), f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise error_type(str(path), "no UTF-8 text", "a TOML file") from None
