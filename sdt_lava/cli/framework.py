"""What Typer has in different places: newer releases carry click as a part of their own."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.main import get_command

_errors = import_module(typer.BadParameter.__module__)

# Base of all errors about what was typed; they have `exit_code` and `show(file)`.
UserError: type[Any] = _errors.ClickException


def make_option(
    name: str, callback: Callable[[typer.Context, list[str]], None], metavar: str, description: str
) -> Any:
    """Return an option that may be repeated, for any command.

    Parameters
    ----------
    name : str
        With its hyphens.
    callback : callable
        Called with the context and all values, before any other option is looked at.
    metavar, description : str
        For the help.
    """
    app = typer.Typer(add_completion=False)
    settings = typer.Option(
        name,
        metavar=metavar,
        callback=callback,
        expose_value=False,
        is_eager=True,
        show_default=False,
        help=description,
    )

    def command(values: Any = ()) -> None: ...

    command.__annotations__["values"] = Annotated[list[str], settings]
    app.command()(command)
    return next(param for param in get_command(app).params if name in param.opts)
