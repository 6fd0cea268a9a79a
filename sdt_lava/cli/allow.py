"""The command class with the option ``--allow`` and the check of files."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

from sdt_lava.cli.framework import make_option
from sdt_lava.cli.places import check_places
from sdt_lava.io.files import protecting
from sdt_lava.io.limits import allowing, parse


class Command(TyperCommand):
    """A command with the option ``--allow`` that does not overwrite files that it reads."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.params.append(
            make_option(
                "--allow",
                _allow,
                "NAME=VALUE",
                "Raise a limit of what is read from files, such as network-bytes=8GiB; "
                "may be repeated.",
            )
        )

    def invoke(self, ctx: Any) -> Any:
        """Run the command after checking that its files are distinct."""
        reads = check_places(self, ctx.params)
        with protecting(place.path for place in reads):
            return super().invoke(ctx)


def _allow(context: typer.Context, texts: Any) -> None:
    for text in texts:
        context.with_resource(allowing(**parse(text)))
