"""What is opened and written: regular files only, and typed errors for every other name."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import sdt_lava
from sdt_lava.datasets import load_npz
from sdt_lava.errors import DataError, SdtLavaError
from sdt_lava.evaluate.store import ResultStore
from sdt_lava.families.config_source import resolve_config
from sdt_lava.hardware.targets import load_target
from sdt_lava.io.files import (
    OutputError,
    check_folder,
    check_writable,
    make_folder,
    open_regular,
    replacing,
    write_json,
)
from sdt_lava.nir import load_nir
from sdt_lava.report.energy_model import load_energy_model
from sdt_lava.report.rates import read_rates
from sdt_lava.report.runtime_model import load_runtime_model

# Everything that reads a file, and the suffix by which it takes it for one of its own.
READERS = {
    "network": (sdt_lava.load_network, ".h5"),
    "nir": (load_nir, ".nir"),
    "checkpoint": (sdt_lava.load_model, ".pt"),
    "json": (resolve_config, ".json"),
    "yml": (resolve_config, ".yml"),
    "data": (load_npz, ".npz"),
    "target": (load_target, ".toml"),
    "energy": (load_energy_model, ".toml"),
    "runtime": (load_runtime_model, ".toml"),
    "rates": (lambda path: read_rates(path, ()), ".csv"),
    "results": (lambda path: ResultStore(path, {}, resume=True), ".sqlite"),
}


def make_fifo(path):
    os.mkfifo(path)


def make_socket(path):
    server = socket.socket(socket.AF_UNIX)
    try:
        server.bind(str(path))
    finally:
        server.close()


def make_device_link(path):
    path.symlink_to("/dev/zero")


def make_linked_fifo(path):
    os.mkfifo(f"{path}.fifo")
    path.symlink_to(f"{path}.fifo")


MAKERS = {
    "fifo": make_fifo,
    "socket": make_socket,
    "device": make_device_link,
    "linked fifo": make_linked_fifo,
    "directory": Path.mkdir,
}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("name", READERS)
def test_only_regular_files_are_read(tmp_path, name, kind):
    """At once: a FIFO without a writer would make a reader wait for ever."""
    read, suffix = READERS[name]
    path = tmp_path / f"in{suffix}"
    MAKERS[kind](path)
    with pytest.raises(SdtLavaError, match="not a regular file"):
        read(path)


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_only_regular_files_beside_results(tmp_path, suffix):
    path = tmp_path / "results.sqlite"
    ResultStore(path, {"a": "b"}, resume=False).__exit__(None, None, None)
    os.mkfifo(f"{path}{suffix}")
    with pytest.raises(SdtLavaError, match="FIFO"):
        ResultStore(path, {"a": "b"}, resume=True)


def test_a_fifo_that_takes_the_place_of_a_file(tmp_path, monkeypatch):
    """What is checked is what was opened, not what was looked at before."""
    path = tmp_path / "in"
    path.write_bytes(b"")
    look = os.stat

    def exchanged(name, **options):
        found = look(name, **options)
        path.unlink()
        os.mkfifo(path)
        return found

    monkeypatch.setattr(os, "stat", exchanged)
    with pytest.raises(DataError, match="FIFO"):
        open_regular(path, DataError)


def test_a_file_that_takes_the_place_of_another(tmp_path):
    """An open file stays the one that was opened, for HDF5 as well."""
    import numpy as np

    from sdt_lava.io.netx.guard import open_root
    from tests.graphs import random_chain

    path = tmp_path / "net.h5"
    sdt_lava.save_network(random_chain(np.random.default_rng(0)), path)
    with open_regular(path, DataError) as file:
        path.rename(tmp_path / "moved.h5")
        path.write_bytes(b"something else")
        with open_root(file, str(path), "an HDF5 file") as root:
            assert "layer" in root.names()


NAMES = {
    "long": "y" * 300,
    "long letters": "\u20ac" * 100,
    "long path": "/".join(["d" * 200] * 25),
    "null byte": "a\0b",
    "surrogate": "\ud800",
    "empty": "",
    "slash": "file/",
    "below a file": "taken/below",
    "folder": "folder",
    "circle": "circle",
    "link to nowhere": "nowhere",
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_bytes(b"as it was")
    (tmp_path / "folder").mkdir()
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "nowhere").symlink_to("missing/file")
    return tmp_path


def all_files(folder):
    return sorted(os.listdir(folder)), (folder / "taken").read_bytes()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("write", [check_writable, lambda path: write_json(path, 1)])
def test_names_that_cannot_be_written(place, name, write):
    before = all_files(place)
    with pytest.raises(OutputError):
        write(NAMES[name])
    assert all_files(place) == before


@pytest.mark.parametrize("path", ["/dev/full", "/dev/null", "/proc/self/fd"])
def test_what_is_no_file_cannot_be_written(path):
    for write in (check_writable, lambda path: write_json(path, 1)):
        with pytest.raises(OutputError):
            write(path)


def test_a_file_system_that_takes_no_files():
    with pytest.raises(OutputError):
        write_json("/proc/nothing", 1)


@pytest.mark.parametrize(
    "name",
    ["long", "long letters", "long path", "null byte", "surrogate", "below a file", "circle"],
)
def test_folders_that_cannot_be_made(place, name):
    before = all_files(place)
    for below in ("", "new/"):
        if name in ("below a file", "circle") and below:
            continue
        with pytest.raises(OutputError):
            check_folder(f"{below}{NAMES[name]}")
    with pytest.raises(OutputError):
        make_folder(NAMES[name])
    assert all_files(place) == before


@pytest.mark.parametrize(
    "name", ["\u20ac" * 80, "y" * 255, os.fsdecode(b"\xff\xfe.json"), " ", "-x"]
)
def test_unusual_names_that_can(place, name):
    check_writable(name)
    write_json(name, 1)
    assert (place / name).read_text() == "1\n"
    assert len(os.listdir(place)) == 5


def test_a_link_to_a_file_that_is_not_there_yet(place):
    (place / "link").symlink_to("folder/new")
    write_json("link", 1)
    assert (place / "folder" / "new").read_text() == "1\n" and (place / "link").is_symlink()


@pytest.mark.parametrize("name", NAMES)
def test_names_that_cannot_be_read(place, name):
    """Whoever reads turns the operating system's errors into its own."""
    for reader, suffix in READERS.values():
        if suffix == ".sqlite" and name in (
            "empty",
            "slash",
            "folder",
            "circle",
            "link to nowhere",
        ):
            continue  # makes a new database, of a path and not of any text
        with pytest.raises(SdtLavaError):
            reader(f"{NAMES[name]}{suffix}" if name != "empty" else "")


WITHOUT_PRIVILEGES = """
import os, sys
from sdt_lava.datasets import load_npz
from sdt_lava.errors import SdtLavaError
from sdt_lava.io.files import check_folder, check_writable, make_folder, replacing, write_json
if os.geteuid() == 0:  # after the imports: the packages may be root's alone
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
folder = sys.argv[1]
calls = [
    (check_writable, f"{folder}/x.json"), (check_folder, f"{folder}/new/deep"),
    (make_folder, f"{folder}/new"), (lambda path: write_json(path, 1), f"{folder}/x.json"),
    (load_npz, f"{folder}/d.npz"),
]
for call, path in calls:
    try:
        call(path)
    except SdtLavaError as error:
        print(error)
    else:
        print("no error")
"""


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o555, 0o222])
def test_without_privileges(tmp_path, mode):
    """As a user for whom the rights of a folder count, which they do not for root."""
    import tempfile

    # Pytest's own folders are closed to other users.
    with tempfile.TemporaryDirectory() as base:
        os.chmod(base, 0o755)
        folder = Path(base, "closed")
        folder.mkdir()
        folder.chmod(mode)
        try:
            ended = subprocess.run(
                [sys.executable, "-c", WITHOUT_PRIVILEGES, str(folder)],
                capture_output=True, text=True, timeout=120,
            )  # fmt: skip
        finally:
            folder.chmod(0o755)
        assert ended.returncode == 0 and not ended.stderr, ended.stderr
        assert len(ended.stdout.splitlines()) == 5 and "no error" not in ended.stdout
        assert not os.listdir(folder)


def test_errors_while_writing(place, monkeypatch):
    """What goes wrong between the check and the end is typed as well, and leaves nothing."""

    def vanish(path):
        with replacing(path) as temporary:
            temporary.write_bytes(b"")
            temporary.unlink()

    before = all_files(place)
    with pytest.raises(OutputError, match="No such file"):
        vanish("new")
    assert all_files(place) == before


def test_reading_does_not_wait_for_others(tmp_path):
    """A FIFO with a writer is refused as one without."""
    path = tmp_path / "in.npz"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: os.close(os.open(path, os.O_WRONLY)), daemon=True)
    writer.start()
    try:
        with pytest.raises(DataError, match="FIFO"):
            load_npz(path)
    finally:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))  # lets the writer go
        writer.join(10)
