"""Model the positions and distances of chips: a mesh on each board, boards in a row.

The wiring of chips on Loihi boards is not published in detail. According to Davies et al. 2018, the
mesh of a chip's cores extends over its four sides to other chips. This model arranges the chips of
a board in a mesh that is as square as possible, and the meshes of several boards side by side. A
message takes

* no hop within a core,
* one hop between cores of the same chip,
* one more hop for each chip border that it crosses: the Manhattan distance of the chips.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isqrt

import numpy as np

from sdt_lava.hardware.targets import Board
from sdt_lava.ir.numerics import IntArray


@dataclass(frozen=True)
class ChipMesh:
    """Positions of chips on boards.

    Parameters
    ----------
    board : Board
        Board that carries the chips.
    chips : int
        Number of chips in use.
    """

    board: Board
    chips: int

    @property
    def boards(self) -> int:
        """Number of boards in use."""
        return -(-self.chips // self.board.chips)

    @property
    def positions(self) -> IntArray:
        """Row and column of each chip in use, ``(chips, 2)``; consecutive chips are neighbours."""
        rows, columns = mesh_shape(self.board.chips)
        if self.boards == 1:
            rows, columns = _compact(self.chips, rows, columns)
        number = np.arange(self.chips)
        board, place = np.divmod(number, self.board.chips)
        column, row = np.divmod(place, rows)
        # The order goes up one column and down the next.
        row = np.where(column % 2, rows - 1 - row, row)
        return np.stack([row, column + board * columns], axis=1)

    @property
    def distances(self) -> IntArray:
        """Number of chip borders between each pair of chips, ``(chips, chips)``."""
        positions = self.positions
        return np.abs(positions[:, None] - positions[None]).sum(axis=2)


def mesh_shape(chips: int) -> tuple[int, int]:
    """Return the rows and columns of the squarest mesh of a number of chips."""
    rows = next(side for side in range(isqrt(chips), 0, -1) if chips % side == 0)
    return rows, chips // rows


def _compact(chips: int, rows: int, columns: int) -> tuple[int, int]:
    """Return the rows and columns in use if a mesh is only partly occupied."""
    used = min(rows, max(ceil(np.sqrt(chips)), ceil(chips / columns)))
    return used, ceil(chips / used)
