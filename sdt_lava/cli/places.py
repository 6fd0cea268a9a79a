"""Check all files in the options and arguments of a command before it runs.

An annotation gives the role of a parameter, such as `Annotated[Path, typer.Option(...), Writes()]`;
a parameter without one is not a file. Every command of class `sdt_lava.cli.allow.Command` is
checked.
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
from sdt_lava.families.registry import presets
from sdt_lava.io.files import OutputError, check_folder, check_writable
from sdt_lava.io.same_files import Place, check_separate

# Formats that matplotlib writes without external programs; the default is PNG.
FIGURE_SUFFIXES = (
    *("", ".png", ".svg", ".pdf"),
    *(".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".eps", ".ps", ".svgz"),
)


@dataclass(frozen=True)
class Reads:
    """A file that is read, or one of several names that are not files."""

    names: tuple[str, ...] = ()

    def places(self, label: str, value: str, _params: Mapping[str, Any]) -> list[Place]:
        """Return the file to be read, if the value is one."""
        return [] if value in self.names else [Place(label, value)]


@dataclass(frozen=True)
class ReadsConfig(Reads):
    """A configuration file, or the name of a preset of any family."""

    def places(self, label: str, value: str, params: Mapping[str, Any]) -> list[Place]:
        """Return the file to be read, if the value is one."""
        return [] if value in presets() else super().places(label, value, params)


@dataclass(frozen=True)
class ReadsData(Reads):
    """A data set, by name with an optional folder in another option, or by path."""

    def places(self, label: str, value: str, params: Mapping[str, Any]) -> list[Place]:
        """Return the file or the folders of the data set."""
        root = params.get("data_root")
        return [Place(label, str(path)) for path in data_places(value, root)]


@dataclass(frozen=True)
class Writes:
    """A file that is written, and the suffixes of additional files written beside it."""

    beside: tuple[str, ...] = ()

    def place(self, label: str, value: str) -> Place:
        """Return the file to be written.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        for suffix in ("", *self.beside):
            check_writable(f"{value}{suffix}")
        return Place(label, value, beside=self.beside)


@dataclass(frozen=True)
class WritesFigure(Writes):
    """A figure that is written in the format of its suffix."""

    def check_format(self, value: str) -> None:
        """Check that the suffix of a figure is a supported format.

        Raises
        ------
        OutputError
            If it is not.
        """
        suffix = Path(value).suffix
        if suffix.lower() not in FIGURE_SUFFIXES:
            problem, allowed = f"a figure in the format {suffix!r}", ", ".join(FIGURE_SUFFIXES[1:])
            raise OutputError(value, problem, allowed, "name a .png, .svg or .pdf file")


@dataclass(frozen=True)
class WritesInto:
    """A folder that is created, and patterns of the files that are written to it."""

    inside: tuple[str, ...]

    def place(self, label: str, value: str) -> Place:
        """Return the folder to be written; errors as for `Writes.place`."""
        check_folder(value)
        return Place(label, value, inside=self.inside)


def roles(callback: Callable[..., Any]) -> dict[str, Reads | Writes | WritesInto]:
    """Return the roles of a command's parameters, from the annotations of its function."""
    parameters = inspect.signature(callback, eval_str=True).parameters
    return {
        name: role
        for name, parameter in parameters.items()
        for role in getattr(parameter.annotation, "__metadata__", ())
        if isinstance(role, (Reads, Writes, WritesInto))
    }


def check_places(command: TyperCommand, params: Mapping[str, Any]) -> tuple[Place, ...]:
    """Check all files of a command, and return those to be read.

    Raises
    ------
    ConfigError
        If a name is empty.
    OutputError
        If a file cannot be written, is also read, or would be written twice.
    """
    assert command.callback is not None
    role_of = roles(command.callback)
    reads: list[Place] = []
    writes: list[Place] = []
    figures: list[tuple[WritesFigure, str]] = []
    for parameter in command.params:
        role = role_of.get(parameter.name or "")
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
    """Yield the paths in the value of a parameter: none, one, or several if it is repeatable."""
    if value is None:
        return
    is_sequence = isinstance(value, Sequence) and not isinstance(value, str)
    for path in value if is_sequence else (value,):
        if not str(path):
            raise ConfigError(label, "an empty name", "a path")
        yield str(path)
