"""Chips in a mesh: distances, neighbours, boards side by side."""

from __future__ import annotations

import numpy as np
import pytest

from sdt_lava.hardware.core_map.geometry import ChipMesh, mesh_shape
from sdt_lava.hardware.targets import Board


def mesh(board_chips, chips):
    return ChipMesh(Board("b", board_chips, "test"), chips)


@pytest.mark.parametrize(
    ("chips", "shape"), [(1, (1, 1)), (8, (2, 4)), (1152, (32, 36)), (7, (1, 7)), (32, (4, 8))]
)
def test_mesh_is_as_square_as_it_can_be(chips, shape):
    assert mesh_shape(chips) == shape


@pytest.mark.parametrize(("board", "chips"), [(8, 8), (8, 5), (1152, 37), (8, 20), (1, 6), (4, 1)])
def test_distances_are_those_of_different_places_of_a_mesh(board, chips):
    layout = mesh(board, chips)
    positions = layout.positions
    assert len({tuple(place) for place in positions.tolist()}) == chips
    distances = layout.distances
    assert np.array_equal(distances, distances.T)
    assert (np.diag(distances) == 0).all()
    assert (distances[~np.eye(chips, dtype=bool)] >= 1).all()
    # Chips that follow each other in number are neighbours, also from board to board or nearly.
    steps = distances[np.arange(chips - 1), np.arange(1, chips)]
    within = np.arange(1, chips) % board != 0
    assert (steps[within] == 1).all()
    assert (steps <= mesh_shape(board)[0]).all()


def test_few_chips_of_a_large_board_stay_close_together():
    assert mesh(1152, 37).distances.max() <= 12
    assert mesh(1152, 37).boards == 1


def test_boards_lie_side_by_side():
    layout = mesh(4, 12)
    assert layout.boards == 3
    assert layout.positions[:, 0].max() == 1 and layout.positions[:, 1].max() == 5
