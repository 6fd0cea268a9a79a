"""Remedies for files in another's place: the command that takes them."""

from __future__ import annotations

import json
import re
import shlex

import numpy as np
import pytest

import sdt_lava
from sdt_lava.families import save_checkpoint
from sdt_lava.io.netx import load_network
from sdt_lava.nir import save_nir
from tests.families.sdt1.networks import lively_network, tiny_config
from tests.io.netx.test_front_door import write as write_stock


@pytest.fixture
def files(tmp_path):
    model = lively_network(tiny_config(image_size=(8, 8)))
    save_checkpoint(tmp_path / "m.pt", model)
    sdt_lava.export(model, tmp_path / "n.h5")
    net = load_network(tmp_path / "n.h5")
    stock = load_network(write_stock(tmp_path / "s.net"))
    save_nir(stock, tmp_path / "s.nir")
    x = np.zeros((2, *net.input_shape), np.float32)
    np.savez(tmp_path / "d.npz", x=x, y=np.zeros(2, np.int64))
    (tmp_path / "c.json").write_text(json.dumps(model.config.to_dict()))
    return tmp_path


EXPORT = ["export", "m.pt", "--out", "o.h5"]


@pytest.mark.parametrize(
    ("words", "follow"),
    [
        (["map", "m.pt"], []),
        (["map", "s.nir"], []),
        (["export", "n.h5", "--out", "o.h5"], []),
        (["export", "s.nir", "--out", "o.h5"], []),
        (["evaluate", "n.h5", "--data", "m.pt", "--out", "e"], []),
        ([*EXPORT, "--config", "n.h5"], []),
        (["export", "d.npz", "--out", "o.h5"], [*EXPORT, "--calibration"]),
        (["map", "d.npz"], ["map", "n.h5"]),
        (["map", "c.json"], EXPORT),
    ],
    ids=lambda words: " ".join(words),
)  # fmt: skip
def test_commands_for_files_in_anothers_place(words, follow, files, command, monkeypatch):
    monkeypatch.chdir(files)
    code, said = command(*words)
    assert code == 2
    found = re.search(r"(sdt-lava [a-z]+ .*?|--(?:data|config) \S+)\s*$", said)
    assert found, said
    proposal = shlex.split(found[1])
    if proposal[0] == "sdt-lava":
        code, said = command(*proposal[1:])
    elif follow[-1:] == ["--calibration"]:
        code, said = command(*follow, proposal[1])
    else:
        code, said = command(*follow, *proposal)
    assert code == 0, said
