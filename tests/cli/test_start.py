"""What commands import: whoever waits for one should not wait for what it does not use."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from sdt_lava.io.netx import save_network
from tests.graphs import random_chain, random_frames

PROGRAM = """
import atexit, json, sys

def tell():
    print("\\n" + json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))

atexit.register(tell)
from sdt_lava.cli import main
main()
"""
# None of what a command has to do is done by these.
HEAVY = {"torch", "torchvision", "lava", "sklearn", "matplotlib", "networkx", "jinja2", "nir"}
# Compiled kernels are for those who simulate.
COMPILER = {"numba", "llvmlite"}


def imported(*arguments, code=0) -> set[str]:
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert ended.returncode == code, ended.stderr
    return set(json.loads(ended.stdout.rstrip().splitlines()[-1]))


@pytest.mark.parametrize(
    "command",
    [
        ("info",), ("info", "--compiled"), ("info", "--schedule"), ("info", "--json"),
        ("check",), ("map",), ("lower",),
    ],
    ids=" ".join,
)  # fmt: skip
def test_looking_at_a_network_neither_imports_torch_nor_compiles(network, command):
    name, *options = command
    found = imported(name, network, *options)
    assert "numpy" in found and not found & (HEAVY | COMPILER)


@pytest.mark.parametrize("options", [("check",), ("map",), ("lower", "--samples", "2")])
def test_measuring_a_small_network_does_without_torch(network, options):
    found = imported(options[0], network, "--data", "digits", *options[1:])
    assert "numba" in found and not found & HEAVY


def test_images_and_comparisons_run_without_torch(network):
    simulated = imported(
        "sim", network, "--backend", "engine", "--data", "digits", "--samples", "3"
    )
    compared = imported("compare", network, network, "--data", "digits", "--samples", "3")
    for found in (simulated, compared):
        assert "numba" in found and not found & HEAVY


def test_spikes_run_without_torch(tmp_path):
    rng = np.random.default_rng(3)
    graph = random_chain(rng, timesteps=3)
    save_network(graph, tmp_path / "net.h5")
    frames = random_frames(rng, graph, batch=2).swapaxes(0, 1)
    np.savez(tmp_path / "x.npz", x=frames.astype(np.uint8))
    found = imported(
        "sim", tmp_path / "net.h5", "--backend", "engine", "--data", tmp_path / "x.npz"
    )
    assert "numba" in found and not found & HEAVY


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors", "model.npz", "net.h5"])
@pytest.mark.parametrize("command", ["export", "info"])
def test_a_file_that_is_no_checkpoint_is_refused_without_torch(tmp_path, command, name):
    path = tmp_path / name
    if name.endswith(".npz"):
        np.savez(path, x=np.zeros(3))
    else:
        path.write_bytes(b"no checkpoint at all")
    options = ("--out", tmp_path / "out.h5") if command == "export" else ()
    found = imported(command, path, *options, code=2)
    assert not found & (HEAVY | COMPILER)


def test_the_help_of_one_command_imports_no_other():
    assert not imported("info", "--help") & (HEAVY | COMPILER | {"h5py", "scipy"})


def test_every_command_is_in_the_help(run):
    code, output, _ = run("main", "--help")
    assert code == 0
    for name in ("train", "export", "sim", "info", "lower", "finetune", "convert", "nir"):
        assert f" {name} " in output
    code, _, errors = run("main", "unknown")
    assert code == 2 and "unknown" in errors
