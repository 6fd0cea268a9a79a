"""Commands as a user types them, and a small network that was never trained."""

from __future__ import annotations

import sys

import pytest
import torch

import sdt_lava
from sdt_lava import cli
from sdt_lava.model import SpikeDrivenTransformer, preset


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    model = SpikeDrivenTransformer(preset("digits", dim=16, num_heads=2))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "_bn" in name:
                parameter.add_(0.7)
    path = tmp_path_factory.mktemp("model") / "model.pt"
    sdt_lava.save_checkpoint(path, model.eval())
    return path


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
