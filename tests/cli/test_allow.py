"""``--allow``: the option of every command that raises a limit of what is read."""

from __future__ import annotations

import pytest

from sdt_lava.errors import NetworkFileError
from sdt_lava.io.limits import DEFAULTS, allowing, limits
from sdt_lava.io.netx import load_network, save_network
from tests.io.netx.damage import chain

COMMANDS = (
    "train", "export", "sim", "info", "check", "lower", "map", "compare", "evaluate", "sweep",
    "energy", "report", "finetune", "convert", "nir",
)  # fmt: skip


@pytest.fixture
def path(tmp_path):
    save_network(chain(), tmp_path / "net.h5")
    return tmp_path / "net.h5"


def test_the_error_names_the_option_that_helps(run, path):
    with allowing(network_layers=2), pytest.raises(NetworkFileError) as caught:
        load_network(path)
    assert "--allow network-layers=" in caught.value.remedy
    code, _, error = run("main", "info", path, "--allow", "network-layers=2")
    assert code == 2 and "--allow network-layers=" in error
    with allowing(network_layers=2):
        assert run("main", "info", path)[0] == 2
        assert run("main", "info", path, "--allow", "network-layers=100")[0] == 0
    assert limits() is DEFAULTS


@pytest.mark.parametrize("text", ["layers=100", "network-layers", "network-layers=0"])
def test_no_such_limit(run, path, text):
    code, _, error = run("main", "info", path, "--allow", text)
    assert code == 2 and "network-layers" in error


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_reads_files_has_it(run, command):
    code, out, _ = run("main", command, "--help")
    assert code == 0 and "--allow" in out
