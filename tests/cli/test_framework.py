"""Parts that every release of Typer has, wherever it keeps them."""

from __future__ import annotations

import pytest
import typer
from typer.main import get_command

from sdt_lava import __version__
from sdt_lava.cli.framework import UserError, make_option


def test_version(run):
    assert run("main", "--version") == (0, f"sdt-lava {__version__}\n", "")


def test_errors_about_arguments(run):
    assert issubclass(typer.BadParameter, UserError)
    code, out, err = run("main", "info", "--no-such-option")
    assert (code, out) == (2, "") and "No such option: --no-such-option" in err


def test_a_made_option_may_be_repeated_and_reaches_no_function():
    found = []
    app = typer.Typer()

    @app.command()
    def command(name: str) -> None:
        found.append(name)

    ready = get_command(app)
    ready.params.append(
        make_option("--more", lambda context, values: found.extend(values), "X", "More.")
    )
    ready(["--more", "a", "n", "--more", "b"], standalone_mode=False)
    assert found == ["a", "b", "n"]
    found.clear()
    ready(["n"], standalone_mode=False)
    assert found == ["n"]


def test_the_option_of_every_command_is_in_its_help(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    _, out, _ = run("main", "check", "--help")
    assert "--allow" in out and "NAME=VALUE" in out


@pytest.mark.parametrize("setting", ["no-such-limit=1", "network-bytes"])
def test_limits_that_do_not_exist(run, setting):
    code, _, err = run("main", "info", "--versions", "--allow", setting)
    assert code == 2 and "error" in err
