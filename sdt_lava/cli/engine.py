"""Options of commands that run the engine."""

from __future__ import annotations

from typing import Annotated

import typer

from sdt_lava.engine.options import DEVICES

Memory = Annotated[
    str | None,
    typer.Option(
        help="Engine: what a batch's arrays and the kernels' tables may take, such as 4GiB "
        "(the default); decides how many samples run at once."
    ),
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Engine: threads; by default as many as there are cores.")
]
Device = Annotated[
    str | None, typer.Option(help=f"Engine: {' or '.join(DEVICES)} (by default the first).")
]
