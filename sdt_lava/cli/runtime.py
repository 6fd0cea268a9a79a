"""The option ``--runtime`` and the output of lower bounds of a step's time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sdt_lava.cli.console import console, make_table, print_table
from sdt_lava.cli.places import Reads
from sdt_lava.errors import ConfigError
from sdt_lava.report.runtime_bound import RuntimeBound
from sdt_lava.report.runtime_model import COUNTS, RuntimeModel, load_runtime_model

# For each option that a bound needs: what is missing without it, and the remedy.
_NEEDED = {
    "--target": ("a target with cores", "add --target loihi2"),
    "--data": ("a run whose spikes are counted", "add --data DATA"),
}
RuntimeOption = Annotated[
    Path | None,
    typer.Option("--runtime", help="Your coefficients (.toml): a lower bound of a step's time."),
    Reads(),
]


def load_needing(runtime: Path | None, option: str, value: str | None) -> RuntimeModel | None:
    """Read the file of ``--runtime``, which requires another option.

    Raises
    ------
    ConfigError
        If that option is missing.
    """
    if runtime is None:
        return None
    if value is None:
        raise ConfigError("--runtime", f"no {option}", *_NEEDED[option])
    return load_runtime_model(runtime)


def print_bound(bound: RuntimeBound) -> None:
    """Print the terms of a bound, the largest one, and the assumptions."""
    table = make_table(
        f"Least time of a step: {bound.model.title} ({bound.model.source})",
        {"term": "left", "a step": "right", "core": "right", "at least [ns]": "right"},
    )
    for term in bound.terms:
        table.add_row(
            COUNTS[term.count].split(":")[0],
            "" if term.count == "step" else f"{term.per_step:,.1f}",
            "" if term.core is None else f"{term.core:,}",
            f"{term.step_ns:,.1f}",
        )
    print_table(table)
    console.print(
        f"a step takes at least {bound.step_ns:,.1f} ns, and a sample of {bound.timesteps} steps "
        f"{bound.sample_us:,.3f} us in a stream: {bound.binding.count} binds "
        f"({bound.activity}; coefficients are yours, nothing was measured)",
    )
    for assumption in bound.model.assumptions:
        console.print(f"  - {assumption}")
