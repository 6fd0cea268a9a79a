"""The intact files that the fuzzer damages, as bytes; each is made once in a process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import h5py
import numpy as np

from sdt_lava.io.netx import save_network
from sdt_lava.nir import save_nir
from tests.cuba_graphs import random_cuba_chain
from tests.graphs import random_chain, random_sdt_graph
from tests.io.netx.damage import put

IMAGE = (1, 4, 4)


def small_chain():
    return random_chain(np.random.default_rng(0), convs=(4,), denses=(4,))


def _transformer(**options):
    metadata = {"config": {"dataset": "digits"}}
    graph = random_sdt_graph(np.random.default_rng(0), channels=4, image=IMAGE, **options)
    return graph.with_metadata(**metadata)


_GRAPHS = {
    "stock": small_chain,
    "extended": _transformer,
    "dilated": lambda: _transformer(dilation_heads=2, downsampling="max"),
    "subsampled": lambda: _transformer(downsampling="subsample", biases=False),
    "recurrent": lambda: random_cuba_chain(np.random.default_rng(1)),
}


@contextmanager
def chdir(folder: Path) -> Iterator[None]:
    """Work in a folder for a while."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def bytes_of(write: Callable[[Path], object], suffix: str = ".h5") -> bytes:
    """Return the content of a file that a function writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"original{suffix}"
        write(path)
        return path.read_bytes()


def _unsummed(path: Path) -> None:
    """Write the file again in HDF5's oldest format, whose metadata have no checksums."""
    new = path.with_suffix(".new")
    path.rename(new)
    with h5py.File(new) as source, h5py.File(path, "w", libver="earliest") as target:
        for key, value in source.attrs.items():
            target.attrs[key] = value
        for name in source:
            source.copy(name, target)


def _foreign(path: Path) -> None:
    """Make our stock file look like one of SLAYER's."""
    with h5py.File(path, "r+") as file:
        for key in list(file.attrs):
            del file.attrs[key]
        for group in file["layer"].values():
            for key in list(group.attrs):
                del group.attrs[key]
            for key in {"weight", "bias"} & set(group):
                put(key, group[key][()].astype(np.float32))(group)
        file["simulation/Ts"] = 1
        file["simulation/tSample"] = 3
        file["layer/1/delay"] = np.array([0, 1, 2, 3])


@cache
def networks() -> dict[str, bytes]:
    """Return network files in each layout, with and without checksums."""

    def write(name: str, *changes: Callable[[Path], None]) -> bytes:
        def make(path: Path) -> None:
            save_network(_GRAPHS[name](), path, compress=not changes)
            for change in changes:
                change(path)

        return bytes_of(make)

    files = {name: write(name) for name in _GRAPHS}
    files |= {f"{name}, unsummed": write(name, _unsummed) for name in ("stock", "extended")}
    files["foreign"] = write("stock", _foreign)
    return files


@cache
def nirs() -> dict[str, bytes]:
    """Return NIR files: one of ours, and the same without what only our writer notes."""
    graph = random_chain(np.random.default_rng(0), varied=False)

    def plain(path: Path) -> None:
        save_nir(graph, path)
        with h5py.File(path, "r+") as file:
            del file["node/metadata"]
            for node in file["node/nodes"].values():
                if "metadata" in node:
                    del node["metadata"]

    ours = bytes_of(lambda path: save_nir(graph, path), ".nir")
    return {"ours": ours, "plain": bytes_of(plain, ".nir")}
