"""The commands ``sdt-lava``, ``sdt-export`` and ``sdt-sim``."""

from __future__ import annotations

import typer

from sdt_lava.cli.check import check_command
from sdt_lava.cli.compare import compare_command
from sdt_lava.cli.console import run_command
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
        help="Spike-driven Transformers from SLAYER to Lava and Loihi 2.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.command("train")(train_command)
    app.command("export")(export_command)
    app.command("sim")(sim_command)
    app.command("info")(info_command)
    app.command("check")(check_command)
    app.command("lower")(lower_command)
    app.command("map")(map_command)
    app.command("compare")(compare_command)
    app.command("evaluate")(evaluate_command)
    app.command("sweep")(sweep_command)
    app.command("energy")(energy_command)
    app.command("report")(report_command)
    app.command("finetune")(finetune_command)
    app.command("convert")(convert_command)
    app.command("nir")(nir_command)
    return app


def main() -> None:
    """Run ``sdt-lava``."""
    run_command(_app())


def main_export() -> None:
    """Run ``sdt-export``."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(export_command)
    run_command(app)


def main_sim() -> None:
    """Run ``sdt-sim``, also reached through ``simulate/run_loihi_sim.py``."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(sim_command)
    run_command(app)
