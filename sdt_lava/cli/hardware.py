"""Options and output of runs on hardware."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from sdt_lava.backends.backend import Backend, find_backend, hardware_names, names_taking
from sdt_lava.backends.board import HardwareOptions
from sdt_lava.backends.board.options import RECORDS
from sdt_lava.backends.default import default_backend
from sdt_lava.backends.measured import Measured
from sdt_lava.backends.result import Result
from sdt_lava.backends.run import simulate
from sdt_lava.cli.console import console, error_console, make_table, print_table
from sdt_lava.cli.networks import trained_on
from sdt_lava.cli.places import Reads
from sdt_lava.errors import ConfigError
from sdt_lava.hardware.targets import BUILT_IN_TARGETS, load_target
from sdt_lava.support.text import quoted

if TYPE_CHECKING:
    from sdt_lava.ir import Graph

_DEFAULT_TARGET = "loihi2"

Target = Annotated[
    str | None,
    typer.Option(
        help=f"Run on hardware: one of {', '.join(BUILT_IN_TARGETS)}, or a .toml file. With "
        "--backend machine: what the network is compiled for."
    ),
    Reads(BUILT_IN_TARGETS),
]
BoardName = Annotated[str | None, typer.Option("--board", help="Board of the target.")]
Record = Annotated[
    str, typer.Option(help=f"Hardware: spikes to bring back, one of {', '.join(RECORDS)}.")
]
Convolutions = Annotated[
    str | None,
    typer.Option(
        help="Hardware and machine: auto, sparse or conv: which become matrices. By default conv "
        "for hardware, and auto for Lava's simulator."
    ),
]
Check = Annotated[
    bool, typer.Option("--check/--no-check", help="Hardware: refuse what breaks a design rule.")
]
Measure = Annotated[
    bool, typer.Option("--measure/--no-measure", help="Hardware: attach Lava's profilers.")
]


@dataclass(frozen=True)
class HardwareArguments:
    """The options for hardware, as specified on the command line."""

    target: str | None
    board: str | None
    record: str
    convolutions: str | None
    check: bool
    measure: bool


def choose_backend(
    backend: str | None, asked: HardwareArguments
) -> tuple[str | None, HardwareOptions | None]:
    """Return the requested back end and its hardware options.

    Returns
    -------
    backend : str or None
        None if the options do not determine it; then use :func:`usual_backend`.
    options : HardwareOptions or None
        For hardware, and for the machine if it runs a network compiled for another target.

    Raises
    ------
    ConfigError
        If the options contradict each other.
    HardwareUnavailableError
        If the requested hardware is not available.
    LavaUnavailableError
        If Lava is requested but not installed.
    """
    if backend is not None:
        requested = find_backend("--backend", backend, with_hardware=True)
        if not requested.needs_hardware:
            return backend, _without_hardware(requested, asked)
    elif asked.target is None:
        return None, None
    target = load_target(asked.target or _DEFAULT_TARGET)
    if not target.is_hardware and asked.board is None:
        if backend is not None:
            raise ConfigError("--target", repr(asked.target), "a target with boards")
        return None, None
    target.board(asked.board)
    name = backend or hardware_names()[0]
    find_backend("--backend", name, with_hardware=True).require(HardwareOptions(target=target))
    return name, HardwareOptions(
        target=target,
        board=asked.board,
        record=asked.record,
        convolutions=asked.convolutions,
        check=asked.check,
        measure=asked.measure,
    )


def _without_hardware(chosen: Backend, asked: HardwareArguments) -> HardwareOptions | None:
    """Return the options for which a simulator's network is compiled."""
    chosen.require()
    if "hardware" in chosen.options:
        return _compiled_for(asked)
    if asked.target is None:
        return None
    target = load_target(asked.target)
    if target.is_hardware or asked.board is not None:
        boards = hardware_names()
        simulators = [name for name in names_taking("hardware") if name not in boards]
        allowed = " or ".join(map(repr, (*boards, *simulators)))
        raise ConfigError("--backend", repr(chosen.name), f"none, {allowed}, with a --target")
    return None


def _compiled_for(asked: HardwareArguments) -> HardwareOptions | None:
    """Return the options for the machine's network; None for Lava's simulator."""
    if (asked.target, asked.board, asked.convolutions) == (None, None, None):
        return None
    target = load_target(asked.target or "lava-cpu")
    if asked.board is not None:
        target.board(asked.board)
    return HardwareOptions(target=target, board=asked.board, convolutions=asked.convolutions)


def usual_backend(net: Graph) -> str:
    """Return the default back end for a network; if it is not Lava, print the reason."""
    backend, reason = default_backend(net)
    if reason:
        error_console.print(reason)
    return backend


def data_of(net: Graph, data: str | None) -> str:
    """Return the requested data set, or that on which the network was trained.

    Raises
    ------
    ConfigError
        If neither is specified.
    """
    from sdt_lava.datasets import DATASETS

    training_data = trained_on(net)
    if data is None and training_data not in DATASETS:
        raise ConfigError("--data", "missing, and the network does not name its data", "a data set")
    return data or training_data


def print_hardware_run(result: Result, x: Any, network: Path, data: str) -> None:
    """Print the measurements of the board and compare its spikes with the engine's."""
    assert result.measured is not None
    print_table(_measured_table(result.measured))
    expected = simulate(_net(result), x, "engine", reset=result.reset)
    differing = [
        name
        for name, events in result.sent.items()
        if not np.array_equal(events, expected.sent[name])
    ]
    if not differing and np.array_equal(result.logits, expected.logits):
        console.print("the same spikes and results as the engine, bit for bit")
        return
    first = differing[0] if differing else "the readout"
    console.print(f"not the engine's spikes; the first difference is in {first}")
    console.print(
        f"next: sdt-lava compare {quoted(network)} {quoted(network)} --data {quoted(data)} "
        "--left-backend engine --right-backend loihi2 --json difference.json, "
        "and docs/loihi2.md: what to send",
    )


def _net(result: Result) -> Graph:
    return result.integer_run("comparison")[0]


_ROWS = (
    ("machine steps", "machine_steps", 1, ""),
    ("time of a step", "seconds_per_step", 1e6, "µs"),
    ("time of a sample", "seconds_per_sample", 1e3, "ms"),
    ("total power", "total_power", 1, "W"),
    ("static power", "static_power", 1, "W"),
    ("power of the cores (VDD)", "core_power", 1, "W"),
    ("power of the memory (VDD-M)", "memory_power", 1, "W"),
    ("power of input and output (VDD-IO)", "io_power", 1, "W"),
    ("total energy of a sample", "total_energy", 1e3, "mJ"),
    ("dynamic energy of a sample", "dynamic_energy", 1e3, "mJ"),
    ("active cores", "cores", 1, ""),
    ("synaptic operations", "synops", 1, ""),
    ("neuron updates", "neuron_updates", 1, ""),
    ("spikes into cores", "spikes_in", 1, ""),
    ("spikes out of cores", "spikes_out", 1, ""),
    ("memory in use", "memory_utilisation", 100, "%"),
)


def _measured_table(measured: Measured) -> Any:
    title = f"Measured on {measured.board} ({measured.host}), {measured.samples} samples"
    table = make_table(title, {"": "left", "value": "right", "unit": "left"})
    for label, field, factor, unit in _ROWS:
        value = getattr(measured, field)
        if value is None:
            table.add_row(label, "not measured", "")
        elif isinstance(value, int):
            table.add_row(label, f"{value:,}", unit)
        else:
            table.add_row(label, f"{value * factor:,.6g}", unit)
    return table
