"""Every command that writes files, as short as it can be, for the tests of faults."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import sdt_lava
from sdt_lava.datasets import load_dataset
from sdt_lava.nir import save_nir
from tests.graphs import random_chain

SAMPLES = 4


@dataclass(frozen=True)
class Inputs:
    """What the commands read.

    Parameters
    ----------
    checkpoint, network : Path
        A model, and the network exported from it.
    chain, nir : Path
        A network of a kind that NIR has, and the same as NIR.
    data : Path
        A few digits.
    """

    checkpoint: Path
    network: Path
    chain: Path
    nir: Path
    data: Path


@dataclass(frozen=True)
class Writer:
    """A command that writes.

    Parameters
    ----------
    output : str
        Name of the file or folder that it is told to write.
    is_folder : bool
        Which of the two.
    arguments : callable
        From inputs and the path of the output to the command's arguments.
    """

    output: str
    is_folder: bool
    arguments: Callable[[Inputs, Path], list[object]]


def _training(inputs: Inputs) -> list[object]:
    return ["--data", inputs.data, "--test-data", inputs.data, "--epochs", 1]


WRITERS = {
    "train": Writer(
        "m.pt", False,
        lambda i, out: ["train", "--preset", "digits", *_training(i), "--batch-size", 4, "-o", out],
    ),
    "finetune": Writer(
        "m.pt", False,
        lambda i, out: ["finetune", i.checkpoint, *_training(i), "--bits", 6, "-o", out],
    ),
    "convert": Writer(
        "m.pt", False, lambda i, out: ["convert", i.checkpoint, "--pooling", "or", "-o", out]
    ),
    "export": Writer("n.h5", False, lambda i, out: ["export", i.checkpoint, "-o", out]),
    "export --json": Writer(
        "r.json", False,
        lambda i, out: ["export", i.checkpoint, "-o", out.parent / "n.h5", "--json", out],
    ),
    "nir out": Writer("n.nir", False, lambda i, out: ["nir", i.chain, "-o", out]),
    "nir in": Writer("n.h5", False, lambda i, out: ["nir", i.nir, "-o", out]),
    "sim --json": Writer(
        "r.json", False,
        lambda i, out: ["sim", i.network, "--data", i.data, "--backend", "engine", "--json", out],
    ),
    "sim --plot": Writer(
        "r.png", False,
        lambda i, out: ["sim", i.network, "--data", i.data, "--backend", "engine", "--plot", out],
    ),
    "compare --json": Writer(
        "r.json", False,
        lambda i, out: ["compare", i.network, i.network, "--data", i.data, "--json", out],
    ),
    "map --plot": Writer("r.png", False, lambda i, out: ["map", i.network, "--plot", out]),
    "evaluate": Writer(
        "eval", True, lambda i, out: ["evaluate", i.network, "--data", i.data, "-o", out]
    ),
    "sweep": Writer(
        "sweep", True,
        lambda i, out: ["sweep", i.checkpoint, "--data", i.data, "--bits", 4, "--shortcut",
                        "relay", "-o", out],
    ),
    "report": Writer(
        "page", True, lambda i, out: ["report", i.network, "--data", i.data, "-o", out]
    ),
}  # fmt: skip


def save_untrained(path: Path) -> Path:
    """Write a small network for digits that was never trained, and fires."""
    import torch

    from sdt_lava.model import SpikeDrivenTransformer, preset

    torch.manual_seed(0)
    model = SpikeDrivenTransformer(preset("digits", dim=16, num_heads=2))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "_bn" in name:
                parameter.add_(0.7)
    sdt_lava.save_checkpoint(path, model.eval())
    return path


def inputs_in(folder: Path) -> Inputs:
    """Return where `make_inputs` puts what the commands read."""
    names = ("in.pt", "in.h5", "in-chain.h5", "in.nir", "in.npz")
    return Inputs(*(folder / name for name in names))


def make_inputs(checkpoint: Path, network: Path, folder: Path) -> Inputs:
    """Put inputs into a folder; the network must be the checkpoint's."""
    inputs = inputs_in(folder)
    shutil.copy(checkpoint, inputs.checkpoint)
    shutil.copy(network, inputs.network)
    digits = load_dataset("digits", "test", SAMPLES)
    np.savez(inputs.data, x=digits.x, y=digits.y)
    chain = random_chain(np.random.default_rng(0))
    sdt_lava.save_network(chain, inputs.chain)
    save_nir(chain, inputs.nir)
    return inputs
