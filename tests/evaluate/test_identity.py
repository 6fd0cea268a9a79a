"""What the digests of an evaluation depend on: the bytes that were read, and not their path."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sdt_lava
from sdt_lava.datasets import LazySource, MemorySource, load_dataset, load_npz
from sdt_lava.errors import DataError, NetworkFileError
from sdt_lava.evaluate import EvaluationOptions, evaluate
from sdt_lava.evaluate import run as evaluation_run
from sdt_lava.evaluate.identity import data_digest, network_digest
from sdt_lava.io.netx.reader import load_with_content
from tests.cli.writers import save_untrained


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("identity")
    sdt_lava.export(sdt_lava.load_model(save_untrained(folder / "m.pt")), folder / "net.h5")
    digits = load_dataset("digits", "test", 6)
    np.savez(folder / "d.npz", x=digits.x, y=digits.y)
    return folder


def other_paths(path):
    """Return a path in other words, and links and a copy by other names."""
    names = [path.with_name(f"{kind}{path.suffix}") for kind in ("symbolic", "hard", "copy")]
    symbolic, hard, copy = names
    if not copy.exists():
        symbolic.symlink_to(path.name)
        hard.hardlink_to(path)
        shutil.copy(path, copy)
    return [str(path), os.path.relpath(path), f"{path.parent}/./{path.name}", *map(str, names)]


def test_however_a_path_is_typed(place, tmp_path):
    networks, data = other_paths(place / "net.h5"), other_paths(place / "d.npz")
    found = set()
    for index, (network, path) in enumerate(zip(networks, data, strict=True)):
        folder = tmp_path / str(index)
        evaluate(Path(network), path, folder)
        found.add((folder / "results.json").read_bytes())
    assert len(found) == 1
    # And it is resumed as the same.
    again = evaluate(Path(networks[1]), data[2], tmp_path / "0", EvaluationOptions(resume=True))
    assert len(again.good) == 6


def test_other_samples_are_others(place, tmp_path):
    data = load_npz(place / "d.npz")
    changed = data.x.copy()
    changed[-1].flat[-1] += 1
    others = [
        replace(data, x=changed),
        replace(data, y=data.y[::-1].copy()),
        replace(data, y=None, num_classes=0),
        data.head(5),
        replace(data, x=data.x.reshape(6, 1, 4, 16)),
    ]
    digests = {data_digest(MemorySource(other)) for other in [data, *others]}
    assert len(digests) == 1 + len(others)
    assert data_digest(MemorySource(replace(data, name="other"))) in digests


def test_the_network_that_was_read(place, tmp_path, monkeypatch):
    path = Path(shutil.copy(place / "net.h5", tmp_path))
    net, content = load_with_content(path)
    assert content == path.read_bytes() and str(net) == str(sdt_lava.load_network(path))
    from sdt_lava.io.netx import reader

    read = reader._read

    def replaced(*arguments):
        """Somebody puts another file in its place: what is open stays what it was."""
        graph = read(*arguments)
        path.rename(tmp_path / "old.h5")
        path.write_bytes(b"another file")
        return graph

    monkeypatch.setattr(reader, "_read", replaced)
    assert network_digest(load_with_content(path)[1]) == network_digest(content)

    def overwritten(*arguments):
        graph = read(*arguments)
        with open(place_again, "ab") as file:
            file.write(b"more")
        return graph

    place_again = Path(shutil.copy(place / "net.h5", tmp_path / "again.h5"))
    monkeypatch.setattr(reader, "_read", overwritten)
    with pytest.raises(NetworkFileError, match="changed while it was read"):
        load_with_content(place_again)


@pytest.fixture
def folder_source(place, tmp_path):
    """A data set whose samples are files."""
    data = load_npz(place / "d.npz")
    root = tmp_path / "set"
    for index, sample in enumerate(data.x):
        folder = root / f"class-{data.y[index]}"
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{index}.npy", sample)

    def open_folder(root=root):
        paths = sorted(root.rglob("*.npy"), key=lambda path: int(path.stem))
        return LazySource(
            "set/test", data.x.shape[1:], data.y[: len(paths)], 10,
            lambda index: np.load(paths[index]), root, tuple(paths),
        )  # fmt: skip

    return open_folder, root


def test_files_of_a_folder(folder_source, tmp_path):
    open_folder, root = folder_source
    digest = data_digest(open_folder())
    linked = tmp_path / "linked"
    linked.symlink_to(root)
    assert data_digest(open_folder(linked)) == digest
    assert data_digest(open_folder(Path(os.path.relpath(root)))) == digest
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    assert data_digest(open_folder(copy)) == digest
    first = next(copy.rglob("0.npy"))
    os.utime(first, ns=(0, 0))  # another machine's copy
    assert data_digest(open_folder(copy)) != digest
    without_times = data_digest(open_folder(), times=False)
    assert data_digest(open_folder(copy), times=False) == without_times != digest
    with first.open("ab") as file:
        file.write(b"longer")
    assert data_digest(open_folder(copy), times=False) != without_times
    shutil.rmtree(copy)
    with pytest.raises(DataError, match="No such file"):
        data_digest(replace(open_folder(root), files=(first,)))


def test_a_file_that_is_replaced_while_it_is_evaluated(folder_source, place, tmp_path, monkeypatch):
    open_folder, root = folder_source
    evaluate(place / "net.h5", open_folder(), tmp_path / "calm")
    source = open_folder()

    def disturbed(index):
        sample = open_folder().read(index)
        if index == 3:
            os.utime(next(root.rglob("0.npy")), ns=(0, 0))
        return sample

    changing = replace(source, read=disturbed)
    with pytest.raises(DataError, match="changed since the evaluation began"):
        evaluate(place / "net.h5", changing, tmp_path / "disturbed")
    assert not (tmp_path / "disturbed" / "results.json").exists()
    assert evaluation_run.DATABASE in os.listdir(tmp_path / "disturbed")
