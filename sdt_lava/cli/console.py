"""What all commands share: errors as sentences, tables, progress."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from sdt_lava.cli.ending import described_exhaustion, drop_output, orderly_signals, reserve_buffers
from sdt_lava.errors import SdtLavaError
from sdt_lava.simulate.process_guard import Terminated

if TYPE_CHECKING:
    from sdt_lava.report.compare import FirstDifference

INTERRUPTED = 130

console = Console(highlight=False)
error_console = Console(stderr=True, highlight=False)


def run_command(app: typer.Typer) -> None:
    """Run a command line and end with an exit code instead of a traceback."""
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr
    )
    with orderly_signals():
        _run_to_exit(app)


def _run_to_exit(app: typer.Typer) -> NoReturn:
    try:
        with described_exhaustion():
            reserve_buffers()
            code = app(standalone_mode=False)
        if code == INTERRUPTED:  # Typer turns Ctrl-C into an exit without a word
            raise KeyboardInterrupt
        sys.exit(code)
    except Terminated:
        error_console.print("terminated")
        raise
    except SdtLavaError as error:
        drop_output()
        print_error(error)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        error_console.print("interrupted")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away.
        drop_output()
        sys.exit(1)


def simulation_hint(network: Path, dataset: str) -> str:
    """Return the command that simulates a network, on its data set if that is at hand."""
    from sdt_lava.datasets import DATASETS

    data = dataset if dataset in DATASETS else "DATA.npz"
    return f"python simulate/run_loihi_sim.py {network} --data {data}"


def printable(text: str) -> str:
    """Return a text without characters that a terminal obeys: names in files may hold any."""
    return "".join(
        letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text
    )


def print_error(error: SdtLavaError) -> None:
    """Show where, found, allowed and what to do."""
    rows = [("error", error.where), ("found", error.found)]
    rows += [("allowed", error.allowed), ("remedy", error.remedy)]
    if error.is_one_sentence:
        rows = [("error", str(error))]
    for label, text in rows:
        if not text:
            continue
        error_console.print(
            f"{label + ':':9s}", end="", style="bold red" if label == "error" else "bold"
        )
        error_console.print(printable(text), markup=False, soft_wrap=True)


def make_table(title: str, columns: dict[str, str]) -> Table:
    """Return a table; columns map a header to 'left' or 'right'."""
    table = Table(title=title, title_justify="left", header_style="bold", pad_edge=False)
    for header, justify in columns.items():
        table.add_column(header, justify="right" if justify == "right" else "left", no_wrap=True)
    return table


def print_plain_json(data: Any) -> None:
    """Print JSON without colours: rich takes minutes for what a file may hold."""
    console.file.write(json.dumps(data, indent=2) + "\n")


def print_table(table: Table) -> None:
    """Print a table, as wide as it needs when the output is not a terminal."""
    if console.is_terminal:
        console.print(table)
    else:
        Console(highlight=False, width=200).print(table)


@contextmanager
def progress_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """Show progress on the error stream; yields a function of done and total."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=error_console, transient=True) as progress:
        task = progress.add_task(description, total=None)

        def update(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield update


def place_text(first: FirstDifference | None) -> str:
    """Return where a difference is, or nothing where there is none."""
    if first is None:
        return ""
    position = ", ".join(map(str, first.neuron))
    return f"step {first.step}, sample {first.sample}, neuron ({position})"
