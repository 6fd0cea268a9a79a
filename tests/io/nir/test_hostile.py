"""NIR files that are damaged, or that reach for more than themselves."""

from __future__ import annotations

import os
import time

import h5py
import nir
import numpy as np
import pytest

from sdt_lava.errors import GraphError, NetworkFileError, NirError
from sdt_lava.io.limits import allowing
from sdt_lava.nir import NirOptions, load_nir, save_nir
from tests.graphs import random_chain

ERRORS = (NetworkFileError, NirError, GraphError)
OPTIONS = NirOptions(timesteps=2)


@pytest.fixture
def path(tmp_path):
    save_nir(random_chain(np.random.default_rng(0), varied=False), tmp_path / "net.nir")
    return tmp_path / "net.nir"


def edit(path, change):
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def replaced(group, name, **dataset):
    if name in group:
        del group[name]
    return group.create_dataset(name, **dataset)


def refused(path, said=None):
    began = time.perf_counter()
    with pytest.raises(ERRORS, match=said) as caught:
        load_nir(path, OPTIONS)
    assert time.perf_counter() - began < 10
    assert len(str(caught.value)) < 5000


FC = "node/nodes/head.0.fc"
LIF = "node/nodes/head.0.lif"


def secret(tmp_path):
    """A file that must not be read: an ordinary one, elsewhere."""
    other = tmp_path / "secret.h5"
    with h5py.File(other, "w") as file:
        file["weight"] = np.ones((6, 90))
        file.create_group("node")
    return other


@pytest.mark.parametrize("place", [f"{FC}/weight", FC, "node", "node/nodes", "node/edges"])
@pytest.mark.parametrize("kind", ["external", "soft"])
def test_links_are_not_followed(path, tmp_path, place, kind):
    other = secret(tmp_path)

    def change(file):
        file.copy(place, "kept")
        del file[place]
        soft = h5py.SoftLink("/kept")
        file[place] = h5py.ExternalLink(str(other), "/weight") if kind == "external" else soft

    refused(edit(path, change), "Link|unexpected member 'kept'")


def test_data_of_other_files_are_not_read(path, tmp_path):
    raw = tmp_path / "raw.bin"
    np.ones((6, 90)).tofile(raw)

    def external(file):
        replaced(
            file[FC], "weight", shape=(6, 90), dtype="f8", external=[(str(raw), 0, 6 * 90 * 8)]
        )

    refused(edit(path, external), "external file")

    def virtual(file):
        layout = h5py.VirtualLayout((6, 90), "f8")
        layout[:] = h5py.VirtualSource(str(secret(tmp_path)), "weight", (6, 90))
        del file[FC]["weight"]
        file[FC].create_virtual_dataset("weight", layout)

    refused(edit(path, virtual), "virtual")


def test_nirs_own_reader_would_follow_them(path, tmp_path):
    """Without this, the tests above could pass for the wrong reason."""
    other = secret(tmp_path)

    def change(file):
        del file[f"{FC}/weight"]
        file[f"{FC}/weight"] = h5py.ExternalLink(str(other), "/weight")

    read = nir.read(edit(path, change), type_check=False)
    assert (read.nodes["head.0.fc"].weight == 1).all()


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ({"shape": (2**20, 2**20), "dtype": "f8", "chunks": (2**10, 2**10)}, "bytes"),
        ({"shape": (2**14, 2**14), "dtype": "f4", "chunks": True, "compression": "gzip"}, "stored"),
        ({"data": h5py.Empty("f8")}, "shape"),
        ({"data": np.ones((6, 90), "c16")}, "type complex"),
        ({"data": np.array([["x"] * 90] * 6, "S4")}, "540 strings"),
        ({"data": np.zeros((6, 90), [("a", "f8")])}, "type"),
        ({"data": np.zeros((0, 90))}, "shape"),
        ({"data": np.ones((6, 90)), "compression": "lzf"}, "filters"),
        ({"data": np.ones((1,) * 9)}, "axes"),
        ({"data": np.full((6, 90), np.inf)}, "infinity"),
    ],
)
def test_arrays_that_cannot_be(path, dataset, said):
    refused(edit(path, lambda file: replaced(file[FC], "weight", **dataset)), said)


def test_all_arrays_together_have_a_limit(path):
    with allowing(network_bytes=5000):
        refused(path, "are left")


STRUCTURE = {
    "no node": (lambda f: f.move("node", "other"), "node"),
    "something else": (lambda f: f.create_dataset("data", data=[1]), "unexpected member 'data'"),
    "no type": (lambda f: f["node"].pop("type"), "type"),
    "another root": (lambda f: replaced(f["node"], "type", data="LIF"), "'NIRGraph'"),
    "a number as type": (lambda f: replaced(f[FC], "type", data=5), "strings"),
    "types": (lambda f: replaced(f[FC], "type", data=["LIF", "LIF"]), "2 strings"),
    "an unknown type": (lambda f: replaced(f[FC], "type", data="os.system"), r"\(os\.system\)"),
    "a private class": (lambda f: replaced(f[FC], "type", data="NIRNode"), r"\(NIRNode\)"),
    "a dunder": (lambda f: replaced(f[FC], "type", data="__import__"), "__import__"),
    "bytes that are no text": (
        lambda f: replaced(f[FC], "type", data=np.bytes_(b"\xff\xfe")), "UTF-8",
    ),
    "an endless type": (lambda f: replaced(f[FC], "type", data="x" * 10**6), "at most"),
    "a missing member": (lambda f: f[LIF].pop("tau"), "no member 'tau'"),
    "one member more": (lambda f: f[LIF].create_dataset("extra", data=1), "unexpected member"),
    "a group as weight": (
        lambda f: (f[FC].pop("weight"), f[FC].create_group("weight")), "not a dataset",
    ),
    "a dataset as node": (
        lambda f: replaced(f["node/nodes"], "flatten", data=1),
        "not a group",
    ),
    "one edge": (lambda f: replaced(f["node"], "edges", data=["a", "b"]), "pairs"),
    "edges of numbers": (lambda f: replaced(f["node"], "edges", data=[[0, 1]]), "strings"),
    "no edges": (lambda f: replaced(f["node"], "edges", data=np.zeros(0)), "shape|strings"),
    "edges to nowhere": (
        lambda f: replaced(f["node"], "edges", data=[["a", "b"]]), r"no node 'a'",
    ),
    "references": (
        lambda f: replaced(f["node"], "edges", data=[[f.ref, f.ref]], dtype=h5py.ref_dtype),
        "strings",
    ),
    "text for a time constant": (lambda f: replaced(f[LIF], "tau", data="long"), "head.0.lif"),
    "another shape": (lambda f: replaced(f[LIF], "tau", data=np.ones(5)), "cannot build|shape"),
    "a stride of zero": (
        lambda f: replaced(f["node/nodes/features.0.conv"], "stride", data=[0, 0]), "stride",
    ),
    "a fraction of a stride": (
        lambda f: replaced(f["node/nodes/features.0.conv"], "stride", data=[1.5, 1]), "integers",
    ),
    "negative padding": (
        lambda f: replaced(f["node/nodes/features.0.conv"], "padding", data=[-1, 0]), "padding",
    ),
    "another padding": (
        lambda f: replaced(f["node/nodes/features.0.conv"], "padding", data="full"), "padding",
    ),
    "a shape without sides": (
        lambda f: replaced(f["node/nodes/input"], "shape", data=[-1, 2]), "shape",
    ),
    "an endless shape": (
        lambda f: replaced(f["node/nodes/input"], "shape", data=[2**40]), "positive integers",
    ),
    "a large shape": (
        lambda f: replaced(f["node/nodes/input"], "shape", data=[2**20, 2**20]), "268435456",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STRUCTURE)
def test_structures_that_cannot_be(path, name):
    change, said = STRUCTURE[name]
    refused(edit(path, change), said)


def test_many_names_of_one_long_string(path):
    """Elements of a small array that all refer to one string of megabytes."""
    count = 200

    def change(file):
        text = h5py.string_dtype()
        long = np.array([["y" * 2**22, "b"]] * 2, dtype=object)
        replaced(file["node"], "edges", data=long, dtype=text, maxshape=(None, 2))
        file["node/edges"].resize((count, 2))

    refused(edit(path, change), "at most")


def test_more_edges_than_nodes_could_have(path):
    """A small file can hold millions of them, each of which is read by itself."""
    edges = np.tile(np.array([["input", "head.0.fc"]], "S9"), (500_000, 1))

    def change(file):
        replaced(file["node"], "edges", data=edges, compression="gzip")

    refused(edit(path, change), "edges: 1000000 strings; allowed: at most")
    assert path.stat().st_size < 300_000


def test_no_file_at_all(tmp_path):
    refused(tmp_path / "missing.nir", "no such file")
    refused(tmp_path, "not a regular file")
    (tmp_path / "text.nir").write_text("hello")
    refused(tmp_path / "text.nir", "not an HDF5 file")
    os.mkfifo(tmp_path / "pipe.nir")
    refused(tmp_path / "pipe.nir", "not a regular file")


def test_a_large_file(path):
    with allowing(network_bytes=10, metadata_bytes=10):
        refused(path, "at most 20.*--allow network-bytes=")


def test_nested_metadata_of_others_are_left_out(path):
    def change(file):
        file[FC]["metadata"].create_group("history")["epoch"] = 5

    graph, report = load_nir(edit(path, change))
    assert report.exact and "head.0.fc" in graph.nodes


@pytest.mark.slow
def test_bytes_changed_at_random(path):
    """Every damaged file gives a network or an error of ours."""
    data = path.read_bytes()
    whole, _ = load_nir(path, OPTIONS)
    rng = np.random.default_rng(0)
    damaged = path.with_name("damaged.nir")
    count = 0
    for _ in range(60):
        changed = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            changed[place] = int(rng.integers(256))
        damaged.write_bytes(changed)
        try:
            net, _ = load_nir(damaged, OPTIONS)
        except ERRORS:
            count += 1
        else:  # what changed was a number, or is read by nobody
            assert (net.order, net.shapes) == (whole.order, whole.shapes)
    assert 10 < count < 60
    for length in range(0, len(data), len(data) // 8):
        damaged.write_bytes(data[:length])
        refused(damaged)
