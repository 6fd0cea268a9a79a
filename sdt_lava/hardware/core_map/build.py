"""Map a compiled network to cores and chips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from sdt_lava.compiler.compile import CompiledNetwork
from sdt_lava.errors import CompileError
from sdt_lava.hardware.core_map.activity import ASSUMED, Activity, Run, as_activity
from sdt_lava.hardware.core_map.core_map import Core, CoreMap, Slice
from sdt_lava.hardware.core_map.demand import Demand
from sdt_lava.hardware.core_map.geometry import ChipMesh
from sdt_lava.hardware.core_map.layers import describe_layers
from sdt_lava.hardware.core_map.layout import Layout, lay_out
from sdt_lava.hardware.core_map.limits import RESOURCES, core_limits
from sdt_lava.hardware.core_map.placement import Links, place
from sdt_lava.hardware.core_map.read_wiring import read_wiring
from sdt_lava.hardware.targets import Board, Target, load_target
from sdt_lava.ir.numerics import IntArray


def map_cores(
    compiled: CompiledNetwork,
    target: Target | str | Path | None = None,
    board: str | None = None,
    spikes: Run | Activity | None = None,
    *,
    seed: int = 0,
) -> CoreMap:
    """Cut a compiled network into slices, pack them on cores and place the cores on chips.

    Parameters
    ----------
    compiled : CompiledNetwork
        Network with its populations, connections and delays.
    target : Target, str or path, optional
        Target whose limits apply to the cores; by default the one the network was compiled for.
    board : str, optional
        Board to use; by default the smallest one that is large enough, or the largest if none is.
    spikes : Run or Activity, optional
        Run of the network whose messages the placement keeps short. Without a run, every neuron is
        assumed to send in every step.
    seed : int
        Seed for the order in which the placement tries moves.

    Returns
    -------
    CoreMap
        Cores, chips, layers and traffic; deterministic for given arguments.

    Raises
    ------
    CompileError
        If the target has no cores or does not run a kind of node, or if a single neuron does not
        fit on a core.
    TargetError
        If the target or board does not exist, or the target does not state the size of a synapse.
    DataError
        If the run belongs to another network.
    """
    description = _target(compiled.target if target is None else target)
    limits = core_limits(description)
    if board is not None:
        description.board(board)
    activity = as_activity(compiled.graph, spikes)
    layout = _layout(compiled, description)
    chips = -(-layout.packing.cores // limits.cores_per_chip)
    mesh_board = _board(description, board, chips)
    chip = place(
        _links(layout, activity), ChipMesh(mesh_board, chips).distances, limits.cores_per_chip, seed
    )
    layout, chip = _number_by_chip(layout, chip)
    return CoreMap(
        target=description,
        board=mesh_board,
        layers=describe_layers(layout),
        cores=_cores(layout, chip, activity),
        activity=activity,
        _graph=compiled.graph,
        _layout=layout,
        _chip=chip,
    )


def count_cores(compiled: CompiledNetwork, target: Target | str | Path | None = None) -> int:
    """Return the number of cores that `map_cores` uses, without placing them on chips.

    Parameters
    ----------
    compiled : CompiledNetwork
        Network with its populations, connections and delays.
    target : Target, str or path, optional
        Target whose limits apply to the cores; by default the one the network was compiled for.

    Raises
    ------
    CompileError, TargetError
        As for `map_cores`.
    """
    return _layout(compiled, _target(compiled.target if target is None else target)).packing.cores


def _layout(compiled: CompiledNetwork, target: Target) -> Layout:
    wiring = read_wiring(compiled, target)
    if not wiring.on_cores:
        raise CompileError("network", "an input and no neurons", "neurons, which cores hold")
    return lay_out(Demand(wiring, core_limits(target)))


def _links(layout: Layout, activity: Activity) -> Links:
    links = Links.of(*layout.links(activity), layout.packing.cores)
    if links.matrix.nnz:
        return links
    # A run without messages between cores gives no information for the placement.
    return Links.of(*layout.links(ASSUMED), layout.packing.cores)


def _target(target: Target | str | Path) -> Target:
    return target if isinstance(target, Target) else load_target(target)


def _board(target: Target, name: str | None, chips: int) -> Board:
    if name is not None:
        return target.board(name)
    by_size = sorted(target.boards.values(), key=lambda board: board.chips)
    return next((board for board in by_size if board.chips >= chips), by_size[-1])


def _number_by_chip(layout: Layout, chip: IntArray) -> tuple[Layout, IntArray]:
    """Renumber cores chip by chip, and within a chip in the order of the data flow."""
    order = np.argsort(chip, kind="stable")
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    packing = replace(layout.packing, core=number[layout.packing.core])
    return replace(layout, packing=packing), chip[order]


def _cores(layout: Layout, chip: IntArray, activity: Activity) -> tuple[Core, ...]:
    packing = layout.packing
    usage = np.zeros((packing.cores, len(RESOURCES)), np.int64)
    np.add.at(usage, packing.core, packing.usage)
    slices: list[list[Slice]] = [[] for _ in range(packing.cores)]
    for name, tiling in layout.tilings.items():
        neurons = tiling.neurons.ravel().tolist()
        for index, core in enumerate(layout.cores_of(name).tolist()):
            slices[core].append(Slice(name, index, neurons[index]))
    synops = layout.synops(activity).tolist()
    return tuple(
        Core(
            index,
            int(chip[index]),
            tuple(slices[index]),
            dict(zip(RESOURCES, usage[index].tolist(), strict=True)),
            synops[index],
        )
        for index in range(packing.cores)
    )
