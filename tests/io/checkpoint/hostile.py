"""Making checkpoints that nobody should trust."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import zipfile

import torch


class RunsCommand:
    """Pickles into a call of os.system that leaves a file behind."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch '{self.marker}'",)


def entries(content) -> dict[str, bytes]:
    """Return the entries of the archive that torch.save makes of ``content``."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with zipfile.ZipFile(buffer) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_zip(path, files, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def with_pickle(path, data: bytes):
    """An archive whose structure is ``data``."""
    return write_zip(path, {"archive/data.pkl": data, "archive/version": b"3\n"})


def zip_that_runs(path, marker):
    return with_pickle(path, pickle.dumps({"format": RunsCommand(marker)}, protocol=2))


def pickle_that_runs(path, marker):
    path.write_bytes(pickle.dumps(RunsCommand(marker), protocol=2))
    return path


def tar_that_runs(path, marker):
    """The layout of torch before 0.4: a tar with pickles inside."""
    payload = pickle.dumps(RunsCommand(marker), protocol=2)
    with tarfile.open(path, "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            info = tarfile.TarInfo(name)
            info.size = len(payload)
            archive.addfile(info, io.BytesIO(payload))
    return path


def tar_with_zip_at_the_end(path, marker):
    """A file that zipfile accepts and torch reads as something else."""
    tar_that_runs(path, marker)
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(2)}, buffer)
    path.write_bytes(path.read_bytes() + buffer.getvalue())
    return path


def torch_module(path, marker):
    """A pickled module: reading it imports and builds classes."""
    torch.save(torch.nn.Linear(2, 2), path)
    return path
