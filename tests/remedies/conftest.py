"""A command that is run as a user types it."""

from __future__ import annotations

import sys

import pytest

from sdt_lava import cli


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a command line; returns its exit code and its words."""

    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["sdt-lava", *map(str, words)])
        with pytest.raises(SystemExit) as ending:
            cli.main()
        return ending.value.code or 0, " ".join("".join(capsys.readouterr()).split())

    return run
