"""``sdt-lava check net.h5 --target loihi2``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from sdt_lava.cli.console import (
    PlainTable,
    console,
    print_plain_json,
    print_table,
    progress_bar,
    simulation_hint,
)
from sdt_lava.cli.data import load_fitting, network_takes
from sdt_lava.cli.lowering import SdsaOption, ShortcutOption, chosen_ways
from sdt_lava.cli.networks import (
    InputShape,
    NumLayers,
    SkipLayers,
    Timesteps,
    network_title,
    read_network,
    trained_on,
)
from sdt_lava.cli.places import Reads, ReadsData
from sdt_lava.hardware.rules import ERROR, Violation, check_rules
from sdt_lava.hardware.rules.listing import rule_rows
from sdt_lava.hardware.targets import BUILT_IN_TARGETS, Target, load_target

if TYPE_CHECKING:
    from sdt_lava.ir import Graph
    from sdt_lava.ir.bounds import Extremes

# Exit code for a network that breaks a rule; distinct from bad input, which is 2.
BROKEN = 1
_MEASURED_SAMPLES = 256
# Number of findings per rule and severity that are printed without --all.
_MOST_SHOWN = 5


def check_command(
    network: Annotated[Path | None, typer.Argument(help="Network file (net.h5)."), Reads()] = None,
    preset: Annotated[
        str | None, typer.Option(help="A preset with random weights instead of a file.")
    ] = None,
    target: Annotated[
        str,
        typer.Option(help=f"One of {', '.join(BUILT_IN_TARGETS)}, or a .toml file."),
        Reads(BUILT_IN_TARGETS),
    ] = "loihi2",
    board: Annotated[str | None, typer.Option(help="Board of the target.")] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Data set or .npz: measure what cannot be proved."),
        ReadsData(),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(min=1, help=f"Samples of --data; at most {_MEASURED_SAMPLES} by default."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of a preset's weights.")] = 0,
    shortcut: ShortcutOption = None,
    sdsa: SdsaOption = None,
    timesteps: Timesteps = None,
    input_shape: InputShape = None,
    num_layers: NumLayers = None,
    skip_layers: SkipLayers = 0,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules and limits.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Print every finding, also where a rule has many.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, with every finding.")] = False,
) -> None:
    """Check a network against the design rules of a target; exit code 1 if one is broken."""
    from sdt_lava.backends.deployment import compile_network

    description = load_target(target)
    if rules:
        _print_rules(description, json)
        return
    board_name = description.board(board).name if board or description.is_hardware else None
    net = read_network(network, preset, seed, timesteps, input_shape, num_layers, skip_layers)
    extremes = _measure(net, data, samples) if data is not None else {}
    ways = chosen_ways(shortcut, sdsa)
    # Check sigma-delta neurons as hardware runs them: as one stream.
    reset = not (description.is_hardware and net.message_names)
    compiled = compile_network(net, description, board=board, reset=reset, **ways)
    violations = check_rules(compiled, extremes)
    errors = sum(violation.severity == ERROR for violation in violations)
    if json:
        print_plain_json(_summary(network, net, description, board_name, violations))
    else:
        place = f"{description.title}, {board_name}" if board_name else description.title
        limit = len(violations) if every else _MOST_SHOWN
        _print_violations(f"{network_title(network, net)} on {place}", violations, limit)
        for note in compiled.shifted_notes:
            console.print(note, markup=False)
        _print_conclusion(errors, len(violations) - errors, network, net)
    if errors:
        raise typer.Exit(BROKEN)


def _measure(net: Graph, data: str, samples: int | None) -> Mapping[str, Extremes]:
    """Run data through the engine and return the largest magnitudes."""
    from sdt_lava.datasets import SourceOptions
    from sdt_lava.engine import Engine
    from sdt_lava.ir.encoding import enter

    takes = network_takes(net)
    dataset = load_fitting(data, "test", takes, SourceOptions(), samples, at_most=_MEASURED_SAMPLES)
    net, frames = enter(net, dataset.x)
    engine = Engine(net, strict=False)
    with progress_bar(f"engine: {data}") as update:
        for index in range(frames.shape[1]):
            engine.run(frames[:, index : index + 1], ())
            update(index + 1, frames.shape[1])
    return engine.extremes


def _summary(
    network: Path | None,
    net: Graph,
    target: Target,
    board: str | None,
    violations: Sequence[Violation],
) -> dict[str, Any]:
    errors = sum(violation.severity == ERROR for violation in violations)
    return {
        "network": network_title(network, net),
        "target": target.name,
        "board": board,
        "errors": errors,
        "warnings": len(violations) - errors,
        "violations": [violation.to_dict() for violation in violations],
    }


def _print_violations(title: str, violations: Sequence[Violation], most: int) -> None:
    if not violations:
        return
    table = _wrapping_table(title, ["", "rule", "node", "found", "allowed", "remedy"])
    for (severity, rule), group in groupby(violations, lambda row: (row.severity, row.rule)):
        rows = list(group)
        label = Text(severity, style="red" if severity == ERROR else "yellow")
        for row in rows[:most]:
            cells = (rule, row.node, row.found, row.allowed, row.remedy)
            table.add_row(label, *cells)
        if len(rows) > most:
            table.add_row(label, rule, f"and {len(rows) - most} more: --all shows them")
    print_table(table)


def _print_conclusion(errors: int, warnings: int, network: Path | None, net: Graph) -> None:
    if errors:
        console.print(f"{errors} errors, {warnings} warnings: the network breaks a design rule")
        return
    console.print(f"no errors, {warnings} warnings")
    if network is not None:
        hint = simulation_hint(network, trained_on(net))
        console.print(f"next: {hint}")


def _print_rules(target: Target, json: bool) -> None:
    rows = rule_rows(target)
    if json:
        print_plain_json([row.to_dict() for row in rows])
        return
    table = _wrapping_table(f"Design rules of {target.title}", ["rule", "", "limit", "source"])
    for row in rows:
        limits = "\n".join(f"{name} = {value:,}" for name, value in row.limits.items())
        table.add_row(row.name, row.summary, Text(limits), row.source)
    print_table(table)


def _wrapping_table(title: str, headers: Sequence[str]) -> Table:
    """Return a table that wraps cells rather than truncating them."""
    table = PlainTable(title=title, title_justify="left", header_style="bold", pad_edge=False)
    for header in headers:
        table.add_column(header, overflow="fold")
    return table
