"""Which options and arguments of a command are files: one check of all, before anything is done.

An annotation says what a parameter is, `Annotated[Path, typer.Option(...), Writes()]`; what has
none is no file. Every command whose class is `sdt_lava.cli.allow.Command` is checked.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from sdt_lava.datasets import data_places
from sdt_lava.errors import ConfigError
from sdt_lava.io.files import OutputError, check_folder, check_writable
from sdt_lava.io.same_files import Place, check_separate

# Of the formats that matplotlib writes without further programs; without a suffix it is PNG.
FIGURE_SUFFIXES = (
    *("", ".png", ".svg", ".pdf"),
    *(".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".eps", ".ps", ".svgz"),
)


@dataclass(frozen=True)
class Reads:
    """A file that is read, or one of some names, which are no files."""

    names: tuple[str, ...] = ()

    def places(self, label: str, value: str, _params: Mapping[str, Any]) -> list[Place]:
        """Return what is read."""
        return [] if value in self.names else [Place(label, value)]


@dataclass(frozen=True)
class ReadsData(Reads):
    """A data set by name, whose folder may be in another option, or by its path."""

    def places(self, label: str, value: str, params: Mapping[str, Any]) -> list[Place]:
        """Return the file or the folders of the data set."""
        root = params.get("data_root")
        return [Place(label, str(path)) for path in data_places(value, root)]


@dataclass(frozen=True)
class Writes:
    """A file that is written, and the suffixes of those that are written beside it."""

    beside: tuple[str, ...] = ()

    def place(self, label: str, value: str) -> Place:
        """Return what is written.

        Raises
        ------
        OutputError
            If it cannot be.
        """
        for suffix in ("", *self.beside):
            check_writable(f"{value}{suffix}")
        return Place(label, value, beside=self.beside)


@dataclass(frozen=True)
class WritesFigure(Writes):
    """A figure that is written, in the format that its suffix says."""

    def check_format(self, value: str) -> None:
        """Check that there is a format with the suffix of a figure.

        Raises
        ------
        OutputError
            If there is none.
        """
        suffix = Path(value).suffix
        if suffix.lower() not in FIGURE_SUFFIXES:
            found, allowed = f"a figure in the format {suffix!r}", ", ".join(FIGURE_SUFFIXES[1:])
            raise OutputError(value, found, allowed, "name a .png, .svg or .pdf file")


@dataclass(frozen=True)
class WritesInto:
    """A folder that is made, and patterns of the files that are written into it."""

    inside: tuple[str, ...]

    def place(self, label: str, value: str) -> Place:
        """Return what is written; errors as of `Writes.place`."""
        check_folder(value)
        return Place(label, value, inside=self.inside)


def roles(callback: Callable[..., Any]) -> dict[str, Reads | Writes | WritesInto]:
    """Return what the annotations of a command's function say, by parameter."""
    parameters = inspect.signature(callback, eval_str=True).parameters
    return {
        name: role
        for name, parameter in parameters.items()
        for role in getattr(parameter.annotation, "__metadata__", ())
        if isinstance(role, (Reads, Writes, WritesInto))
    }


def check_places(command: TyperCommand, params: Mapping[str, Any]) -> tuple[Place, ...]:
    """Check all files of a command, and return those that it reads.

    Raises
    ------
    ConfigError
        If a name is empty.
    OutputError
        If a file cannot be written, is read as well, or is to be written twice.
    """
    assert command.callback is not None
    known = roles(command.callback)
    reads: list[Place] = []
    writes: list[Place] = []
    figures: list[tuple[WritesFigure, str]] = []
    for parameter in command.params:
        role = known.get(parameter.name or "")
        if role is None:
            continue
        label = _label(parameter)
        for value in _values(label, params.get(parameter.name or "")):
            if isinstance(role, Reads):
                reads += role.places(label, value, params)
            else:
                writes.append(role.place(label, value))
                if isinstance(role, WritesFigure):
                    figures.append((role, value))
    check_separate(reads, writes)
    for figure, path in figures:
        figure.check_format(path)
    return tuple(reads)


def _label(parameter: Any) -> str:
    if parameter.param_type_name == "option":
        return max(parameter.opts, key=len)
    return parameter.metavar or parameter.name.upper()


def _values(label: str, value: Any) -> Iterator[str]:
    """Yield the paths that were given: none, one, or several where an option may be repeated."""
    if value is None:
        return
    several = isinstance(value, Sequence) and not isinstance(value, str)
    for path in value if several else (value,):
        if not str(path):
            raise ConfigError(label, "an empty name", "a path")
        yield str(path)
