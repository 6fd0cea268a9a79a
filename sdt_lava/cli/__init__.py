"""The commands ``sdt-lava``, ``sdt-export`` and ``sdt-sim``."""

from __future__ import annotations

from typing import Annotated

import typer

from sdt_lava._version import __version__
from sdt_lava.cli.allow import Command
from sdt_lava.cli.check import check_command
from sdt_lava.cli.compare import compare_command
from sdt_lava.cli.console import console, run_command
from sdt_lava.cli.energy import energy_command
from sdt_lava.cli.evaluate import evaluate_command
from sdt_lava.cli.export import export_command
from sdt_lava.cli.finetune import convert_command, finetune_command
from sdt_lava.cli.info import info_command
from sdt_lava.cli.lowering import lower_command
from sdt_lava.cli.map import map_command
from sdt_lava.cli.nir import nir_command
from sdt_lava.cli.report import report_command
from sdt_lava.cli.sim import sim_command
from sdt_lava.cli.sweep import sweep_command
from sdt_lava.cli.train import train_command

__all__ = ["main", "main_export", "main_sim"]


def _app() -> typer.Typer:
    app = typer.Typer(
        help="Spike-driven Transformers for Loihi 2: quantize, run, check and count.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_common)
    app.command("train", cls=Command)(train_command)
    app.command("export", cls=Command)(export_command)
    app.command("sim", cls=Command)(sim_command)
    app.command("info", cls=Command)(info_command)
    app.command("check", cls=Command)(check_command)
    app.command("lower", cls=Command)(lower_command)
    app.command("map", cls=Command)(map_command)
    app.command("compare", cls=Command)(compare_command)
    app.command("evaluate", cls=Command)(evaluate_command)
    app.command("sweep", cls=Command)(sweep_command)
    app.command("energy", cls=Command)(energy_command)
    app.command("report", cls=Command)(report_command)
    app.command("finetune", cls=Command)(finetune_command)
    app.command("convert", cls=Command)(convert_command)
    app.command("nir", cls=Command)(nir_command)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
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
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(cls=Command)(export_command)
    run_command(app)


def main_sim() -> None:
    """Run ``sdt-sim``, also reached through ``simulate/run_loihi_sim.py``."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(cls=Command)(sim_command)
    run_command(app)
