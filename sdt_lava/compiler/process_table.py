"""Tabulate the Lava process of each population and connection with its timing."""

from __future__ import annotations

from dataclasses import dataclass

from sdt_lava.compiler.schedule import Schedule
from sdt_lava.ir import (
    Conv,
    CubaLif,
    Delta,
    Dense,
    Gate,
    Graph,
    Input,
    Lif,
    MaxRelay,
    MessageNeurons,
    Node,
    Relay,
    Shape,
    Sigma,
    SigmaDelta,
    Signal,
    Sparse,
    SpikingNeurons,
)

_POPULATIONS: dict[type[Node], str] = {
    Lif: "LIFReset",
    CubaLif: "CubaLif",
    Gate: "LIF",
    Relay: "GradedVec",
    MaxRelay: "MaxRelay",
    SigmaDelta: "SigmaDelta",
    Delta: "Delta",
    Sigma: "Sigma",
}
# Processes without and with a delay.
_CONNECTIONS: dict[type[Node], tuple[str, str]] = {
    Sparse: ("Sparse", "DelaySparse"),
    Dense: ("Dense", "DelayDense"),
    Conv: ("Conv", "Conv"),
}


@dataclass(frozen=True)
class ProcessRow:
    """A Lava process.

    Parameters
    ----------
    name, block : str
        Names of the node and its block.
    process : str
        Class of the Lava process.
    shape : tuple of int
        Shape of the process's output.
    latency : int or None
        Machine steps after the input, for populations.
    reset_offset : int or None
        Phase of the reset, for neurons with memory. Lava's time step starts at 1.
    delay : int or None
        Additional steps, for connections.
    """

    name: str
    block: str
    process: str
    shape: Shape
    latency: int | None = None
    reset_offset: int | None = None
    delay: int | None = None


def process_rows(graph: Graph, schedule: Schedule) -> tuple[ProcessRow, ...]:
    """Return one row for each Lava process in topological order."""
    return tuple(_row(graph, schedule, node) for node in graph if not isinstance(node, Input))


def _row(graph: Graph, schedule: Schedule, node: Node) -> ProcessRow:
    shape = graph.shapes[node.name]
    if graph.signals[node.name] is Signal.CURRENT:
        delay = schedule.delay[node.name]
        process = node.entry_of(_CONNECTIONS, "which process of Lava runs it", __name__)[
            bool(delay)
        ]
        return ProcessRow(node.name, node.block, process, shape, delay=delay)
    is_reset = isinstance(node, SpikingNeurons) or node.name in schedule.starts
    reset = schedule.reset_offset(node.name) if is_reset else None
    latency = schedule.latency[node.name]
    standard = isinstance(node, SpikingNeurons) and node.is_plain
    process = (
        _POPULATIONS[Lif]
        if standard
        else node.entry_of(_POPULATIONS, "which process of Lava runs it", __name__)
    )
    if is_reset and isinstance(node, MessageNeurons):
        process += "Reset"
    return ProcessRow(node.name, node.block, process, shape, latency, reset)


def format_processes(rows: tuple[ProcessRow, ...]) -> str:
    """Format rows as a table in the style of lava-dl's netx."""
    widest = max((len(row.name) for row in rows), default=len("Name"))
    lines = [f"| {'Name':<{widest}s}|  Process   |  W  |  H  |  C  |latency|reset|delay|"]
    for row in rows:
        channels, height, width = row.shape if len(row.shape) == 3 else (row.shape[0], 1, 1)
        cells = [f"{row.process:<12s}", f"{width:5d}", f"{height:5d}", f"{channels:5d}"]
        cells += [_cell(row.latency, 7), _cell(row.reset_offset, 5), _cell(row.delay, 5)]
        lines.append(f"| {row.name:<{widest}s}|" + "|".join(cells) + "|")
    return "\n".join(lines)


def _cell(value: int | None, width: int) -> str:
    return " " * width if value is None else f"{value:{width}d}"
