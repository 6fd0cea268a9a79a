"""Descriptions in TOML that users may write: every entry is checked where it is read."""

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

# Dots of a line: names like a.b.c make a table for each, and take the square of their number.
_MOST_DOTS = 50


class TomlTable:
    """A table of a TOML document, with checked access.

    Parameters
    ----------
    where : str
        What it describes, for errors.
    content : dict
        The parsed table.
    error_type : type of SdtLavaError
        Raised for every entry that is wrong.
    """

    def __init__(self, where: str, content: Any, error_type: type[SdtLavaError]) -> None:
        if not isinstance(content, dict):
            raise error_type(where, short_repr(content), "a table of named entries")
        self.where = where
        self.content = content
        self.error_type = error_type

    @classmethod
    def parse(cls, where: str, text: str, error_type: type[SdtLavaError]) -> TomlTable:
        """Parse a document."""
        for number, line in enumerate(text.split("\n"), 1):
            if line.count(".") > _MOST_DOTS:
                found = f"line {number} with {line.count('.')} dots"
                remedy = "break the line, or leave tables of tables out"
                raise error_type(where, found, f"at most {_MOST_DOTS} in a line", remedy)
        try:
            return cls(where, tomllib.loads(text), error_type)
        # The parser's error is a ValueError; Python's, at numbers of thousands of digits, another.
        except (ValueError, RecursionError) as error:
            found, remedy = f"no TOML: {str(error)[:200]}", "correct the line that is named"
            raise error_type(where, found, "a TOML document", remedy) from None

    def check_keys(self, allowed: set[str], required: set[str]) -> None:
        """Check that nothing is unknown and nothing is missing."""
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
        """Return the tables ``[key.<name>]`` by name; none if there is no such entry."""
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
        """Return a string."""
        value = self.content.get(key, default)
        if not isinstance(value, str):
            raise self._wrong(key, "a text in quotes")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings; empty if there is no such entry."""
        value = self.content.get(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise self._wrong(key, "a list of texts in quotes")
        return tuple(value)

    def integer(self, key: str, low: int, high: int) -> int:
        """Return an integer from ``low`` to ``high``."""
        value = self.content.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._wrong(key, f"an integer, {low} to {high}")
        return value

    def number(self, key: str, low: float, high: float) -> float:
        """Return a number from ``low`` to ``high``."""
        value = self.content.get(key)
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise self._wrong(key, "a number")
        if not low <= value <= high:  # also true of a NaN
            raise self._wrong(key, f"{low:g} to {high:g}")
        return float(value)

    def _wrong(self, key: str, allowed: str) -> SdtLavaError:
        found = f"{key} = {short_repr(self.content.get(key))}"
        return self.error_type(self.where, found, allowed)


def read_description(path: Path, error_type: type[SdtLavaError]) -> str:
    """Return the text of a description.

    Raises
    ------
    error_type
        If it cannot be read, is no text, or is too long.
    """
    most = limits().description_bytes
    try:
        with open_regular(path, error_type, "a TOML file") as file:
            data = file.read(most + 1)
        if len(data) > most:
            found = f"more than {most} bytes"
            raise error_type(str(path), found, "a page of text", remedy("description_bytes"))
        return data.decode("utf-8")
    except OSError as error:
        raise error_type(str(path), f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise error_type(str(path), "no UTF-8 text", "a TOML file") from None
