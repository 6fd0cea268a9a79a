"""Commands as a user types them, and a small network that was never trained."""

from __future__ import annotations

import sys

import pytest

import sdt_lava
from sdt_lava import cli
from tests.cli.writers import save_untrained


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    return save_untrained(tmp_path_factory.mktemp("model") / "model.pt")


@pytest.fixture(scope="session")
def network(checkpoint):
    path = checkpoint.with_name("net.h5")
    sdt_lava.export(sdt_lava.load_model(checkpoint), path)
    return path


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command in this process; returns exit code, output and errors."""

    def run_command(command, *arguments):
        monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
        with pytest.raises(SystemExit) as ending:
            getattr(cli, command)()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return ending.value.code or 0, captured.out, captured.err

    return run_command
