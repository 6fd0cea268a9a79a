"""Functions shared by all commands: errors as sentences, tables, progress."""

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
    """A console for untrusted text, which is displayed completely and never interpreted.

    Square brackets are not markup, colons are not emoji, and control characters are escaped. Styles
    come only from arguments. Lines are not wrapped, so that paths stay intact.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return the displayed form of a text; also called for cells and titles of tables."""
        return super().render_str(printable(text), **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print texts, tables and other renderable objects."""
        if all(isinstance(item, str) for item in objects):
            options.setdefault("soft_wrap", True)
        super().print(*objects, **options)

    def status(self, status: RenderableType, **options: Any) -> Status:
        """Show the current activity until it ends."""
        text = Text(one_line(status)) if isinstance(status, str) else status
        return super().status(text, **options)


class PlainTable(Table):
    """A table of names and numbers, with one line per cell."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row with each cell on one line."""
        lines = (one_line(cell) if isinstance(cell, str) else cell for cell in cells)
        super().add_row(*lines, **options)


console = PlainConsole()
error_console = PlainConsole(stderr=True)


class _PlainFormatter(logging.Formatter):
    """A formatter that escapes control characters, as records may contain names from files."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


@contextmanager
def _plain_streams() -> Iterator[None]:
    """Prevent output that bypasses `console` from affecting the terminal or failing."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PlainFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for stream in (sys.stdout, sys.stderr):
        # Not every terminal can encode every character.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    format_warning = warnings.formatwarning
    warnings.formatwarning = lambda *parts, **options: printable(format_warning(*parts, **options))
    try:
        yield
    finally:
        warnings.formatwarning = format_warning


def run_command(app: typer.Typer) -> None:
    """Run a command line and end with an exit code instead of a traceback."""
    # Importing modules creates many objects but no garbage: collecting takes a tenth of the start.
    gc.set_threshold(_OBJECTS_BEFORE_COLLECTION)
    with _plain_streams(), orderly_signals():
        _run_to_exit(app)


def _run_to_exit(app: typer.Typer) -> NoReturn:
    try:
        with described_exhaustion():
            reserve_buffers()
            code = app(standalone_mode=False)
        if code == INTERRUPTED:  # Typer silently converts Ctrl-C to an exit
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
        # The reader of our output has closed the pipe.
        drop_output()
        sys.exit(1)


def simulation_hint(network: Path, dataset: str, options: str = "") -> str:
    """Return a command that simulates a network, on its own data if they are built in.

    Parameters
    ----------
    network : Path
        Network file.
    dataset : str
        Data set on which the network was trained; used if it needs no files.
    options : str
        Options to use instead: ``--data`` and the options of its data set.
    """
    from sdt_lava.datasets import DATASETS

    data = f"--data {dataset if dataset in DATASETS else 'DATA.npz'}"
    return f"sdt-sim {quoted(network)} {options or data}"


def print_usage_error(error: Any) -> None:
    """Print Typer's error about arguments, which may contain file names expanded by a shell."""
    buffer = io.StringIO()
    error.show(buffer)
    error_console.print(buffer.getvalue(), end="")


def print_error(error: SdtLavaError) -> None:
    """Print where the error is, what was found, what is allowed, and the remedy."""
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
    """Return a table; ``columns`` maps each header to 'left' or 'right'."""
    table = PlainTable(
        title=one_line(title), title_justify="left", header_style="bold", pad_edge=False
    )
    for header, justify in columns.items():
        table.add_column(header, justify="right" if justify == "right" else "left", no_wrap=True)
    return table


def print_plain_json(data: Any) -> None:
    """Print JSON in ASCII without colours, because rich takes minutes for large data."""
    console.file.write(json.dumps(data, indent=2) + "\n")


def print_table(table: Table) -> None:
    """Print a table, in full width if the output is not a terminal."""
    if console.is_terminal:
        console.print(table)
    else:
        PlainConsole(width=200).print(table)


@contextmanager
def progress_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """Show progress on the error stream; yield a function of completed and total steps."""
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
    """Return the position of a difference as text, or an empty text if there is none."""
    if first is None:
        return ""
    position = ", ".join(map(str, first.neuron))
    return f"step {first.step}, sample {first.sample}, neuron ({position})"
