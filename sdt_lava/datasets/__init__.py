"""Open data sets by name, or from ``.npz`` and ``.npy`` files and folders."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sdt_lava.datasets.base import Dataset
from sdt_lava.datasets.digits import load_digits_split
from sdt_lava.datasets.events import open_cifar10_dvs, open_gesture
from sdt_lava.datasets.folders import has_halves, open_folder
from sdt_lava.datasets.images import open_cifar, open_imagenet
from sdt_lava.datasets.npz import load_npy, load_npz
from sdt_lava.datasets.source import (
    LazySource,
    MemorySource,
    SampleSource,
    SourceOptions,
    first_samples,
)
from sdt_lava.datasets.synthetic_dvs import SyntheticDvsOptions, load_synthetic_dvs
from sdt_lava.errors import DataError
from sdt_lava.io.file_kinds import DATA, misplaced
from sdt_lava.ir import Graph
from sdt_lava.support.lazy import lazy

__all__ = [
    "DATASETS",
    "OPTIONS",
    "SOURCES",
    "Dataset",
    "LazySource",
    "MemorySource",
    "SampleSource",
    "SourceOptions",
    "SyntheticDvsOptions",
    "data_places",
    "first_samples",
    "fitting_options",
    "has_parts",
    "load_dataset",
    "load_digits_split",
    "load_npz",
    "load_synthetic_dvs",
    "open_source",
    "trained_on",
]

__getattr__ = lazy(__name__)

# Data sets that need no files: functions of the part ('train' or 'test'), by name.
DATASETS: dict[str, Callable[[str], Dataset]] = {
    "digits": load_digits_split,
    "synthetic-dvs": load_synthetic_dvs,
}
# Data sets in files: functions of the name, the part and the options, by name.
SOURCES: dict[str, Callable[[str, str, SourceOptions], LazySource]] = {
    "cifar10": open_cifar,
    "cifar100": open_cifar,
    "imagenet": open_imagenet,
    "dvs128-gesture": open_gesture,
    "cifar10-dvs": open_cifar10_dvs,
}
# Their folders, relative to the root folder of the data sets.
FOLDERS: dict[str, tuple[str, ...]] = {
    "cifar10": ("cifar-10-batches-py",),
    "cifar100": ("cifar-100-python",),
    "imagenet": ("imagenet", "train", "val"),
    "dvs128-gesture": ("DVSGesture",),
    "cifar10-dvs": ("CIFAR10DVS",),
}
# The fields of `SourceOptions`, other than root and download, that these data sets support.
OPTIONS: dict[str, tuple[str, ...]] = {
    "imagenet": ("image_size",),
    "dvs128-gesture": ("timesteps", "binning"),
    "cifar10-dvs": ("timesteps", "binning"),
}


# Fields that folders support; which of them are used depends on the content of the folder.
_FOLDER_OPTIONS = ("timesteps", "binning", "frame_shape", "normalisation")
# Loaders of sample files, by suffix.
LOADERS: dict[str, Callable[[str], Dataset]] = {".npz": load_npz, ".npy": load_npy}


def _is_folder(name: str) -> bool:
    return bool(name) and Path(name).is_dir()  # Path("") is the current folder


def _options_of(name: str) -> tuple[str, ...]:
    if name not in SOURCES and name not in DATASETS and _is_folder(name):
        return _FOLDER_OPTIONS
    return OPTIONS.get(name, ())


def has_parts(name: str) -> bool:
    """Return whether a data set has separate parts for training and testing.

    For an unknown name the result is True; opening it raises an error.
    """
    if name in SOURCES or name in DATASETS:
        return True
    return has_halves(name) if _is_folder(name) else Path(name).suffix not in LOADERS


def load_dataset(
    name_or_path: str | os.PathLike[str],
    part: str = "test",
    samples: int | None = None,
    root: str | os.PathLike[str] | None = None,
    download: bool = False,
    *,
    options: SourceOptions | None = None,
) -> Dataset:
    """Load a data set, or its first samples, into memory.

    Parameters
    ----------
    name_or_path : str or path-like
        A name in `DATASETS` or `SOURCES`, or the path of an ``.npz`` or ``.npy`` file or of a
        folder for :func:`~sdt_lava.datasets.folders.open_folder`.
    part : {'train', 'test'}
        Part to load; ignored for files, which have only one.
    samples : int, optional
        Number of samples to load from the start; by default all.
    root : path-like, optional
        Folder that contains the data sets; see `SourceOptions`.
    download : bool
        Download missing files.
    options : SourceOptions, optional
        Used instead of ``root`` and ``download``; has more options.

    Raises
    ------
    DataError
        If the data set, part or file does not exist, or has fewer samples, or they take more than
        4 GiB.
    ConfigError
        If a package that the data set needs is not installed.
    """
    options = options or SourceOptions(root=root, download=download)
    return first_samples(open_source(name_or_path, part, options), samples)


def data_places(name_or_path: str, root: str | os.PathLike[str] | None = None) -> tuple[Path, ...]:
    """Return the files or folders of a data set, which need not exist.

    Parameters
    ----------
    name_or_path, root
        As in `load_dataset`.
    """
    if name_or_path in DATASETS:
        return ()
    if name_or_path in FOLDERS:
        folder = SourceOptions(root=root).folder
        return tuple(folder / part for part in FOLDERS[name_or_path])
    return (Path(name_or_path),)


def fitting_options(
    name: str,
    frame: tuple[int, ...],
    timesteps: int | None,
    options: SourceOptions,
    trained_on: str | None = None,
) -> SourceOptions:
    """Complete options so that a data set yields samples that fit a network's input.

    Parameters
    ----------
    name : str
        Data set, as in `load_dataset`.
    frame : tuple of int
        The network's input shape ``(C, H, W)`` or ``(features,)``; empty if it is unknown.
    timesteps : int or None
        The network's time steps T, which is the number of frames per recording of event data.
    options : SourceOptions
        Options of the caller; fields that are set are not changed.
    trained_on : str, optional
        Data set that the network was trained on; its normalisation is used for folders of images.
    """
    is_image = len(frame) == 3
    network_values = {
        "timesteps": timesteps,
        "image_size": frame[-1] if is_image else None,
        "frame_shape": frame if is_image else None,
        "normalisation": trained_on,
    }
    changes: dict[str, Any] = {
        field: value
        for field, value in network_values.items()
        if field in _options_of(name) and getattr(options, field) is None
    }
    return replace(options, **changes)


def trained_on(net: Graph) -> str:
    """Return the data set named in a network's untrusted metadata; empty if there is none."""
    config = net.metadata.get("config")
    dataset = config.get("dataset") if isinstance(config, dict) else None
    return dataset if isinstance(dataset, str) else ""


def open_source(
    name_or_path: str | os.PathLike[str],
    part: str = "test",
    options: SourceOptions | None = None,
) -> SampleSource:
    """Open a data set whose samples are read on demand; parameters are those of `load_dataset`.

    Raises
    ------
    DataError
        If the data set, part or file does not exist.
    ConfigError
        If a package that the data set needs is not installed.
    """
    name, options = os.fspath(name_or_path), options or SourceOptions()
    options.check_used(name, _options_of(name))
    if name in SOURCES:
        return SOURCES[name](name, part, options)
    if name in DATASETS:
        data = DATASETS[name](part)
    elif _is_folder(name):
        return open_folder(name, part, options)
    elif Path(name).suffix in LOADERS:
        data = LOADERS[Path(name).suffix](name)
    else:
        names = sorted((*DATASETS, *SOURCES))
        allowed = f"one of {names}, an .npz or .npy file, or a folder of class folders"
        kind, remedy = misplaced(name, DATA) or ("", "")
        raise DataError("data set", f"{name!r}{kind and f', {kind}'}", allowed, remedy)
    return MemorySource(data)
