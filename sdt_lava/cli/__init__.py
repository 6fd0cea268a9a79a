"""The commands ``sdt-lava``, ``sdt-export`` and ``sdt-sim``."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sdt_lava._version import __version__
from sdt_lava.cli.allow import Command
from sdt_lava.cli.console import run_command

__all__ = ["main", "main_export", "main_sim"]

# Commands in the order of the help, with ``module:function`` relative to this package.
_COMMANDS = {
    "train": "train:train_command",
    "export": "export:export_command",
    "sim": "sim:sim_command",
    "info": "info:info_command",
    "check": "check:check_command",
    "lower": "lowering:lower_command",
    "map": "map:map_command",
    "compare": "compare:compare_command",
    "evaluate": "evaluate:evaluate_command",
    "sweep": "sweep:sweep_command",
    "energy": "energy:energy_command",
    "report": "report:report_command",
    "finetune": "finetune:finetune_command",
    "convert": "finetune:convert_command",
    "nir": "nir:nir_command",
}


def _single(name: str) -> typer.Typer:
    """Return an application with a single command."""
    module, _, function = _COMMANDS[name].partition(":")
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(name, cls=Command)(getattr(import_module(f"{__name__}.{module}"), function))
    return app


class _LazyCommands(MutableMapping[str, Any]):
    """Commands by name; a module is imported when its command is requested."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            if name not in _COMMANDS:
                raise KeyError(name)
            self._loaded[name] = typer.main.get_command(_single(name))
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**_COMMANDS, **self._loaded})

    def __len__(self) -> int:
        return len({**_COMMANDS, **self._loaded})


class _LazyGroup(TyperGroup):
    """A group that imports only the modules that the requested command needs."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = _LazyCommands()


def _app() -> typer.Typer:
    app = typer.Typer(
        help="Spike-driven Transformers for Loihi 2: quantize, run, check and count.",
        cls=_LazyGroup,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_common)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        # Imported here because a global name ``console`` would hide the module in this package.
        from sdt_lava.cli.console import console

        console.print(f"sdt-lava {__version__}")
        raise typer.Exit


def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run ``sdt-lava``."""
    run_command(_app())


def main_export() -> None:
    """Run ``sdt-export``."""
    run_command(_single("export"))


def main_sim() -> None:
    """Run ``sdt-sim``; ``simulate/run_loihi_sim.py`` calls this function, too."""
    run_command(_single("sim"))
