"""DVS128 Gesture and CIFAR10-DVS: recordings of event cameras, binned into frames of counts."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from sdt_lava.datasets.base import FloatArray, check_part
from sdt_lava.datasets.source import LazySource, SourceOptions, fixed_order, missing_files
from sdt_lava.errors import DataError
from sdt_lava.io.files import check_regular
from sdt_lava.support.extras import require

_SENSOR = (128, 128, 2)
# Time steps of the published configurations.
_GESTURE_STEPS, _CIFAR10_DVS_STEPS = 16, 10
# The first 90 % of each class are for training.
_TRAINING_SHARE = 0.9
# As in the authors' loader (spikingjelly's ``split_by="number"``), for both data sets.
_DEFAULT_BINNING = "count"


def open_gesture(name: str, part: str, options: SourceOptions) -> LazySource:
    """Open DVS128 Gesture: counts ``(T, 2, 128, 128)``, 11 gestures, the official split.

    Raises
    ------
    ConfigError
        If tonic is not installed.
    DataError
        If the files are missing.
    """
    check_part(name, part)
    train = part == "train"
    recordings = _open_tonic(name, "DVSGesture", options, {"train": train})
    order = _sorted_by_path(recordings)[fixed_order(len(recordings.data))]
    steps = options.timesteps or _GESTURE_STEPS
    read = _reader(recordings, order, steps, options.binning or _DEFAULT_BINNING)
    labels = np.asarray(recordings.targets, np.int64)[order]
    files = _files(options.folder / "DVSGesture", recordings, order)
    return LazySource(f"{name}/{part}", (steps, 2, 128, 128), labels, 11, read, *files)


def open_cifar10_dvs(name: str, part: str, options: SourceOptions) -> LazySource:
    """Open CIFAR10-DVS: counts ``(T, 2, 64, 64)``, 10 classes.

    The data set has no official split: as in the authors' code, the first 90 % of each class, in
    the order of the file names, are for training. Frames are scaled to half size, also as in the
    authors' code: a pixel is the mean of 2x2 camera pixels, a multiple of 1/4.

    Raises
    ------
    ConfigError
        If tonic or aedat is not installed.
    DataError
        If the files are missing.
    """
    check_part(name, part)
    recordings = _open_tonic(name, "CIFAR10DVS", options, {})
    require("aedat", "events")
    indices = _split(_sorted_by_path(recordings), np.asarray(recordings.targets, np.int64), part)
    order = indices[fixed_order(len(indices))]
    steps = options.timesteps or _CIFAR10_DVS_STEPS
    read = _reader(recordings, order, steps, options.binning or _DEFAULT_BINNING)
    labels = np.asarray(recordings.targets, np.int64)[order]
    files = _files(options.folder / "CIFAR10DVS", recordings, order)
    return LazySource(
        f"{name}/{part}", (steps, 2, 64, 64), labels, 10, lambda index: halve(read(index)), *files
    )


def halve(frames: FloatArray) -> FloatArray:
    """Return the mean of each 2x2 block of pixels, which equals bilinear scaling to half size."""
    *front, height, width = frames.shape
    blocks = frames.reshape(*front, height // 2, 2, width // 2, 2)
    return blocks.mean(axis=(-3, -1), dtype=np.float32)


def _open_tonic(
    name: str, class_name: str, options: SourceOptions, arguments: dict[str, Any]
) -> Any:
    """Open one of tonic's data sets; it downloads files only if the options request it."""
    require("tonic", "events")
    from tonic import datasets

    base_class = getattr(datasets, class_name)
    folder = options.folder / class_name

    def refuse(self: Any) -> None:
        raise FileNotFoundError("download is not set")

    # tonic downloads missing files without asking, so a subclass overrides that. tonic names the
    # folder after the class, so the subclass has the same name.
    changes = {} if options.download else {"download": refuse}
    dataset_class = type(class_name, (base_class,), changes)
    try:
        # tonic prints messages to standard output, which is reserved for our tables.
        with contextlib.redirect_stdout(sys.stderr):
            recordings = dataset_class(str(options.folder), **arguments)
        if not recordings.data:
            raise FileNotFoundError("no recordings")
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise _missing(name, base_class, folder, arguments, error) from error
    return recordings


def _missing(
    name: str, kind: Any, folder: Path, arguments: dict[str, Any], cause: Exception
) -> DataError:
    if name == "cifar10-dvs":
        archive, recordings = kind.filename, folder / "<class>" / "*.aedat4"
        origin = f"CIFAR10-DVS (Li et al. 2017) in AEDAT 4, as tonic publishes it: {archive}"
        md5 = kind.file_md5
    else:
        side = "train" if arguments["train"] else "test"
        archive, md5 = getattr(kind, f"{side}_filename"), getattr(kind, f"{side}_md5")
        recordings = folder / archive.removesuffix(".tar.gz") / "<user>_<light>" / "<label>.npy"
        origin = f"IBM's DVS128 Gesture (Amir et al. 2017), cut by tonic: {archive}"
    return missing_files(
        name,
        [folder / archive, recordings],
        f"{origin}, MD5 {md5}",
        f"set download, or put {archive} in {folder} and set download: it is then verified and "
        "unpacked from there",
        cause,
    )


def _sorted_by_path(stored: Any) -> np.ndarray:
    """Return the indices ordered by path; tonic's order is that of the file system."""
    return np.asarray(sorted(range(len(stored.data)), key=stored.data.__getitem__), np.int64)


def _files(folder: Path, stored: Any, order: np.ndarray) -> tuple[Path, tuple[str, ...]]:
    """Return the folder of the recordings, and the files that are used."""
    return folder, tuple(stored.data[index] for index in order)


def _split(indices: np.ndarray, targets: np.ndarray, part: str) -> np.ndarray:
    index_parts = []
    for label in np.unique(targets):
        class_indices = indices[targets[indices] == label]
        boundary = math.ceil(len(class_indices) * _TRAINING_SHARE)
        index_parts.append(
            class_indices[:boundary] if part == "train" else class_indices[boundary:]
        )
    result = np.concatenate(index_parts)
    if not len(result):
        raise DataError(f"cifar10-dvs/{part}", "no recordings left", "10 or more of each class")
    return result


def _by_time(events: np.ndarray, steps: int) -> np.ndarray:
    """Bin events into frames of equal duration; events of the last few microseconds are dropped."""
    from tonic.transforms import ToFrame

    frames: np.ndarray = ToFrame(sensor_size=_SENSOR, n_time_bins=steps)(events)
    return frames


def _by_count(events: np.ndarray, steps: int) -> np.ndarray:
    """Bin events into frames with equal numbers of events; the last frame gets the remainder.

    The authors' loader does the same; tonic's own ``n_event_bins`` drops the remainder.
    """
    from tonic.transforms import ToFrame

    to_frame = ToFrame(sensor_size=_SENSOR, n_event_bins=1)
    edges = len(events) // steps * np.arange(steps + 1)
    edges[-1] = len(events)
    return np.concatenate(
        [
            to_frame(events[first:last]) if last > first else np.zeros((1, *_SENSOR[::-1]))
            for first, last in pairwise(edges)
        ]
    )


# Functions that bin events, by `SourceOptions.binning`.
_CUTS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {"time": _by_time, "count": _by_count}


def _reader(
    stored: Any, order: np.ndarray, steps: int, binning: str
) -> Callable[[int], FloatArray]:
    """Return a function that reads the frames of a recording by its index in the order."""
    bin_events = _CUTS[binning]

    def read(index: int) -> FloatArray:
        path = stored.data[order[index]]
        try:
            check_regular(path, DataError)
            events, _ = stored[order[index]]
            _check_pixels(events)
            # tonic cannot bin a recording without events.
            frames = bin_events(events, steps) if len(events) else np.zeros((steps, *_SENSOR[::-1]))
        # The readers raise many types of errors for damaged files.
        except Exception as error:
            raise DataError(
                path, f"not a readable recording ({str(error)[:200]})", "events of 128x128 pixels"
            ) from error
        return frames.astype(np.float32)

    return read


def _check_pixels(events: np.ndarray) -> None:
    """Raise `ValueError` for events outside the sensor, which tonic does not always refuse."""
    width, height, _ = _SENSOR
    for axis, side in (("x", width), ("y", height)):
        if len(events) and not (events[axis].min() >= 0 and events[axis].max() < side):
            raise ValueError(f"{axis} from {events[axis].min()} to {events[axis].max()}")
