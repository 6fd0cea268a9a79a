"""Select the board of a run through the environment variables that Lava reads.

``BOARD`` (a node), ``PARTITION`` and ``LOIHI_GEN`` select a board in SLURM; ``NOSLURM=1`` and
``NXSDKHOST`` select a board on the network. Variables that are already set take precedence.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from sdt_lava.errors import ConfigError, HardwareUnavailableError
from sdt_lava.hardware.targets import Board

_ETHERNET_BINARY = "nxcore/bin/nx_driver_server"
_DOWN = "down"


@contextmanager
def connected(board: Board) -> Iterator[str]:
    """Select a board within a context, and restore the environment afterwards.

    Parameters
    ----------
    board : Board
        Requested board.

    Yields
    ------
    str
        Connection to the board, for reports.

    Raises
    ------
    HardwareUnavailableError
        If no such board can be reached.
    """
    environment = dict(os.environ)
    try:
        if os.environ.get("NXSDKHOST") or os.environ.get("NOSLURM"):
            yield _use_ethernet()
        else:
            yield _use_slurm(board)
    finally:
        os.environ.clear()
        os.environ.update(environment)


def _generation() -> object:
    from lava.utils.loihi import ChipGeneration

    name = os.environ.get("LOIHI_GEN", ChipGeneration.N3B3.value)
    try:
        return ChipGeneration(name)
    except ValueError:
        allowed = f"one of {[generation.value for generation in ChipGeneration]}"
        raise ConfigError("environment variable LOIHI_GEN", repr(name), allowed) from None


def _use_ethernet() -> str:
    from lava.utils import loihi

    address = os.environ.get("NXSDKHOST", "")
    if not address:
        raise HardwareUnavailableError(
            "Loihi 2",
            "NOSLURM is set, but no address of a board",
            "NXSDKHOST=ADDRESS in the environment",
        )
    binary = os.environ.get("HOST_BINARY", _ETHERNET_BINARY)
    try:
        loihi.use_ethernet_host(address, binary, _generation())
    except (ValueError, OSError) as error:
        raise HardwareUnavailableError(
            f"board at {address}", str(error), "a board that answers", "check NXSDKHOST"
        ) from error
    return f"ethernet {address}"


def _use_slurm(board: Board) -> str:
    from lava.utils import loihi

    partitions = _partitions()
    node, partition = os.environ.get("BOARD"), os.environ.get("PARTITION")
    if node is None and partition is None:
        partition = _first_up(board, partitions)
    try:
        if node is None and _is_up(partition, partitions):
            # Lava checks only the first row of the partition, whose boards may be down while others
            # are up (lava-nc/lava#754).
            loihi.use_slurm_host(None, None, _generation())
            os.environ["PARTITION"] = str(partition)
        else:
            loihi.use_slurm_host(partition, node, _generation())
    except (ValueError, OSError) as error:
        raise HardwareUnavailableError(
            f"SLURM, board {board.name}",
            str(error),
            "a board or partition that sinfo lists as up",
            "set BOARD or PARTITION, or wait for the board",
        ) from error
    return f"SLURM {node or partition}"


def _partitions() -> list[tuple[str, bool]]:
    """Return the name of every row that SLURM lists, and whether it is up."""
    from lava.utils import slurm

    try:
        rows = slurm.get_partitions()
    except OSError:  # Lava's function does not handle a missing program
        rows = []
    # A star marks the default partition.
    partitions = [(row.name.rstrip("*"), _DOWN not in row.state) for row in rows if row.name]
    if not partitions:
        raise HardwareUnavailableError(
            "Loihi 2",
            "no SLURM controller answers on this machine (sinfo)",
            "a machine of the INRC cloud, or NOSLURM=1 and NXSDKHOST=ADDRESS of a board",
            "log in to the INRC cloud (docs/loihi2.md), or simulate with --backend machine",
        )
    return partitions


def _is_up(partition: str | None, partitions: list[tuple[str, bool]]) -> bool:
    return (partition, True) in partitions


def _first_up(board: Board, partitions: list[tuple[str, bool]]) -> str:
    for name in board.partitions:
        if _is_up(name, partitions):
            return name
    raise HardwareUnavailableError(
        f"board {board.name}",
        f"none of its partitions is up: {', '.join(board.partitions) or 'none is known'}",
        f"SLURM lists {', '.join(sorted({name for name, up in partitions if up})) or 'none'} as up",
        "set PARTITION, or wait for the board",
    )
