"""``--allow NAME=VALUE``: an option of every command that raises a limit of what is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from typer.core import TyperCommand, TyperOption

from sdt_lava.limits import allowing, parse


class Command(TyperCommand):
    """A command with the option ``--allow``."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.params.append(
            TyperOption(
                param_decls=["--allow"],
                multiple=True,
                metavar="NAME=VALUE",
                callback=_allow,
                expose_value=False,
                is_eager=True,
                help="Raise a limit of what is read from files, such as network-bytes=8GiB; "
                "may be repeated.",
            )
        )


def _allow(context: click.Context, _parameter: click.Parameter, texts: Sequence[str]) -> None:
    for text in texts:
        context.with_resource(allowing(**parse(text)))
