"""Map a network that has run to cores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sdt_lava.backends.result import Result
from sdt_lava.ir import Graph
from sdt_lava.report.runtime_bound import RuntimeBound

if TYPE_CHECKING:
    from sdt_lava.hardware.core_map import CoreMap


def map_run(net: Graph, result: Result, target: str, board: str | None = None) -> CoreMap:
    """Map a network to the cores of a target, with a placement optimised for the spikes of a run.

    Parameters
    ----------
    net : Graph
        Integer network.
    result : Result
        A run of the network.
    target : str
        Name of a built-in target, or a .toml file.
    board : str, optional
        Board of the target; by default the smallest that is large enough.

    Raises
    ------
    CompileError, TargetError
        If the target does not exist, or cannot hold the network.
    """
    from sdt_lava.backends.deployment import compile_network
    from sdt_lava.hardware.core_map import map_cores
    from sdt_lava.hardware.targets import load_target

    description = load_target(target)
    return map_cores(compile_network(net, description, board=board), description, board, result)


def core_table(core_map: CoreMap, bound: RuntimeBound | None = None) -> dict[str, Any]:
    """Return the report's data on cores, as plain values."""
    traffic, counts = core_map.traffic(), core_map.by_core()
    return {
        "target": core_map.target.title,
        "board": core_map.board.name,
        "cores": len(core_map.cores),
        "chips": core_map.chips,
        "fits": core_map.fits,
        "layers": [
            {
                "name": layer.name,
                "neurons": layer.neurons,
                "cores": layer.cores,
                "binding": layer.binding,
            }
            for layer in core_map.layers
        ],
        "traffic": {
            name: traffic.per_step(name)
            for name in ("within_core", "between_cores", "between_chips", "hops")
        },
        "by_core": counts.to_dict(),
        "most_in_a_step": {
            name: float(getattr(counts, name).max()) / counts.steps
            for name in ("synops", "neuron_updates", "messages_out", "messages_in")
        },
        "runtime": None if bound is None else bound.to_dict(),
    }
