"""Parts of Typer whose location depends on its version: newer releases include click."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.main import get_command

_errors = import_module(typer.BadParameter.__module__)

# Base class of all usage errors, which have `exit_code` and `show(file)`.
UserError: type[Any] = _errors.ClickException


def make_option(
    name: str, callback: Callable[[typer.Context, list[str]], None], metavar: str, description: str
) -> Any:
    """Return a repeatable option that can be added to any command.

    Parameters
    ----------
    name : str
        Name with its hyphens.
    callback : callable
        Called with the context and all values before other options are processed.
    metavar, description : str
        Placeholder of the value, and help text.
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
