"""Where chips are: boards in a row, chips of a board in a mesh, and how far they are apart.

How the chips of Loihi boards are wired is not published in detail. Davies et al. 2018 say that
the mesh of a chip's cores extends over four sides to other chips; we take the chips of a board as
a mesh that is as square as it can be, and several boards as meshes side by side. A message takes

* no hop within a core,
* one hop from core to core of a chip,
* one more for every chip border that it crosses: the Manhattan distance of the chips.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isqrt

import numpy as np

from sdt_lava.hardware.targets import Board
from sdt_lava.ir.numerics import IntArray


@dataclass(frozen=True)
class ChipMesh:
    """Positions of chips.

    Parameters
    ----------
    board : Board
        Board that the chips are on.
    chips : int
        Chips in use.
    """

    board: Board
    chips: int

    @property
    def boards(self) -> int:
        """Boards in use."""
        return -(-self.chips // self.board.chips)

    @property
    def positions(self) -> IntArray:
        """Row and column of each chip in use, ``(chips, 2)``; neighbours in number are near."""
        rows, columns = mesh_shape(self.board.chips)
        if self.boards == 1:
            rows, columns = _compact(self.chips, rows, columns)
        number = np.arange(self.chips)
        board, place = np.divmod(number, self.board.chips)
        column, row = np.divmod(place, rows)
        # Up one column and down the next.
        row = np.where(column % 2, rows - 1 - row, row)
        return np.stack([row, column + board * columns], axis=1)

    @property
    def distances(self) -> IntArray:
        """Chip borders between each two chips, ``(chips, chips)``."""
        positions = self.positions
        return np.abs(positions[:, None] - positions[None]).sum(axis=2)


def mesh_shape(chips: int) -> tuple[int, int]:
    """Return rows and columns of the squarest mesh of a number of chips, rows first."""
    rows = next(side for side in range(isqrt(chips), 0, -1) if chips % side == 0)
    return rows, chips // rows


def _compact(chips: int, rows: int, columns: int) -> tuple[int, int]:
    """Return the part of a mesh that is used when not all chips are."""
    used = min(rows, max(ceil(np.sqrt(chips)), ceil(chips / columns)))
    return used, ceil(chips / used)
