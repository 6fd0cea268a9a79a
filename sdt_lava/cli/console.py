"""What all commands share: errors as sentences, tables, progress."""

from __future__ import annotations

import gc
import io
import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.status import Status
from rich.table import Table
from rich.text import Text

from sdt_lava.backends.lava.process_guard import Terminated
from sdt_lava.cli.ending import (
    described_exhaustion,
    drop_output,
    orderly_signals,
    reserve_buffers,
)
from sdt_lava.cli.framework import UserError
from sdt_lava.errors import SdtLavaError
from sdt_lava.support.text import one_line, printable, quoted

if TYPE_CHECKING:
    from sdt_lava.ir.differences import FirstDifference

INTERRUPTED = 130
_OBJECTS_BEFORE_COLLECTION = 50_000


class PlainConsole(Console):
    """A console for text that may come from files: nothing in it is obeyed, all of it is shown.

    Square brackets are no markup, colons no emoji, and control characters are written out.
    Styles come from arguments only. Lines are not wrapped, so that paths stay whole.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text as it is shown; also called for the cells and titles of tables."""
        return super().render_str(printable(text), **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print texts, tables and the like."""
        if all(isinstance(item, str) for item in objects):
            options.setdefault("soft_wrap", True)
        super().print(*objects, **options)

    def status(self, status: RenderableType, **options: Any) -> Status:
        """Show what is being done while it is."""
        shown = Text(one_line(status)) if isinstance(status, str) else status
        return super().status(shown, **options)


class PlainTable(Table):
    """A table whose cells are names and numbers, each in one line."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row."""
        shown = (one_line(cell) if isinstance(cell, str) else cell for cell in cells)
        super().add_row(*shown, **options)


console = PlainConsole()
error_console = PlainConsole(stderr=True)


class _PlainFormatter(logging.Formatter):
    """Log records may name what is in files."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


@contextmanager
def _plain_streams() -> Iterator[None]:
    """Let nothing that goes to the terminal past `console` have effects there, or fail."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PlainFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for stream in (sys.stdout, sys.stderr):
        # Not every terminal knows every letter.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    form = warnings.formatwarning
    warnings.formatwarning = lambda *parts, **options: printable(form(*parts, **options))
    try:
        yield
    finally:
        warnings.formatwarning = form


def run_command(app: typer.Typer) -> None:
    """Run a command line and end with an exit code instead of a traceback."""
    # Modules make many objects and leave no garbage: looking for it takes a tenth of the start.
    gc.set_threshold(_OBJECTS_BEFORE_COLLECTION)
    with _plain_streams(), orderly_signals():
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
    except UserError as error:
        print_usage_error(error)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        error_console.print("interrupted")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away.
        drop_output()
        sys.exit(1)


def simulation_hint(network: Path, dataset: str, options: str = "") -> str:
    """Return the command that simulates a network, on data if they are known.

    Parameters
    ----------
    network : Path
        Its file.
    dataset : str
        The data set that it was trained on; used if it needs no files.
    options : str
        The option ``--data`` and those for it, instead.
    """
    from sdt_lava.datasets import DATASETS

    data = f"--data {dataset if dataset in DATASETS else 'DATA.npz'}"
    return f"sdt-sim {quoted(network)} {options or data}"


def print_usage_error(error: Any) -> None:
    """Show what Typer says about arguments, which a shell may have made of files' names."""
    said = io.StringIO()
    error.show(said)
    error_console.print(said.getvalue(), end="")


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
        error_console.print(one_line(text))


def make_table(title: str, columns: dict[str, str]) -> Table:
    """Return a table; columns map a header to 'left' or 'right'."""
    table = PlainTable(
        title=one_line(title), title_justify="left", header_style="bold", pad_edge=False
    )
    for header, justify in columns.items():
        table.add_column(header, justify="right" if justify == "right" else "left", no_wrap=True)
    return table


def print_plain_json(data: Any) -> None:
    """Print JSON in ASCII and without colours: rich takes minutes for what a file may hold."""
    console.file.write(json.dumps(data, indent=2) + "\n")


def print_table(table: Table) -> None:
    """Print a table, as wide as it needs when the output is not a terminal."""
    if console.is_terminal:
        console.print(table)
    else:
        PlainConsole(width=200).print(table)


@contextmanager
def progress_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """Show progress on the error stream; yields a function of done and total."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=error_console, transient=True) as progress:
        task = progress.add_task(one_line(description), total=None)

        def update(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield update


def place_text(first: FirstDifference | None) -> str:
    """Return where a difference is, or nothing where there is none."""
    if first is None:
        return ""
    position = ", ".join(map(str, first.neuron))
    return f"step {first.step}, sample {first.sample}, neuron ({position})"
