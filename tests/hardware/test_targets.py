"""Target descriptions: the ones that come along, and the user's own."""

import pytest

from sdt_lava.errors import TargetError
from sdt_lava.hardware.targets import BUILT_IN_TARGETS, LIMITS, load_target, read_target
from sdt_lava.ir import NODE_KINDS

MINIMAL = 'title = "Mine"\nkinds = ["lif"]\n'


@pytest.mark.parametrize("name", BUILT_IN_TARGETS)
def test_every_number_has_a_source(name):
    target = load_target(name)
    assert target.kinds_source
    assert all(limit.source for limit in target.limits.values())
    assert all(board.source for board in target.boards.values())
    assert set(target.limits) <= set(LIMITS)


@pytest.mark.parametrize("name", BUILT_IN_TARGETS)
def test_kinds_are_kinds_of_nodes(name):
    assert set(load_target(name).kinds) <= set(NODE_KINDS)


def test_boards_of_loihi2():
    boards = load_target("loihi2").boards
    chips = {name: board.chips for name, board in boards.items()}
    assert chips == {"oheogulch": 1, "kapohopoint": 8, "halapoint": 1152}


def test_simulator_has_no_board():
    target = load_target("lava-cpu")
    assert not target.is_hardware
    with pytest.raises(TargetError, match="no board"):
        target.board()


def test_own_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        MINIMAL + 'default_board = "desk"\n[boards.desk]\nchips = 3\n'
        '[limits.delay_max]\nvalue = 7\nsource = "measured"\n'
    )
    target = load_target(path)
    assert (target.name, target.title) == ("mine", "Mine")
    assert target.board().chips == target.board("desk").chips == 3
    assert target.limit("delay_max") == 7
    assert target.limit("fan_in_max") is None
    assert target.source("delay_max") == "measured"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("title = ", "no TOML"),
        ('title = "x"', "'kinds'"),
        ('title = 3\nkinds = ["lif"]', "title = 3"),
        ('title = "x"\nkinds = "lif"', "kinds = 'lif'"),
        (MINIMAL + "colour = 1", "'colour'"),
        (MINIMAL + "limits = 3", "limits is int"),
        (MINIMAL + "[limits.wings]\nvalue = 2\nsource = 'x'", "wings"),
        (MINIMAL + "[limits.delay_max]\nvalue = 2.5\nsource = 'x'", "2.5"),
        (MINIMAL + "[limits.delay_max]\nvalue = true\nsource = 'x'", "True"),
        (MINIMAL + "[limits.delay_max]\nvalue = -1\nsource = 'x'", "-1"),
        (MINIMAL + "[limits.delay_max]\nvalue = 3", "'source'"),
        (MINIMAL + "[boards.desk]\nchips = 0\n", "chips = 0"),
        (MINIMAL + "[boards.desk]\nchips = 1\n", "default_board = ''"),
        (MINIMAL + 'default_board = "desk"\n', "default_board = 'desk'"),
    ],
)
def test_wrong_description(text, found):
    with pytest.raises(TargetError, match=found):
        read_target("mine", text)


def test_unknown_name():
    with pytest.raises(TargetError, match="loihi2"):
        load_target("loihi3")


def test_missing_file(tmp_path):
    with pytest.raises(TargetError, match="cannot be read"):
        load_target(tmp_path / "none.toml")


def test_binary_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TargetError, match="UTF-8"):
        load_target(path)
