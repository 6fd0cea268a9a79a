"""DVS128 Gesture and CIFAR10-DVS: recordings of event cameras, made into frames of counts."""

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
# Steps of the published configurations.
_GESTURE_STEPS, _CIFAR10_DVS_STEPS = 16, 10
# The first nine tenths of each class are for training.
_TRAINING_SHARE = 0.9
# The authors' loader (spikingjelly's ``split_by="number"``), for both data sets.
_DEFAULT_BINNING = "count"


def open_gesture(name: str, part: str, options: SourceOptions) -> LazySource:
    """Return DVS128 Gesture: counts ``(T, 2, 128, 128)``, 11 gestures, the official split.

    Raises
    ------
    ConfigError
        If tonic is not installed.
    DataError
        If the files are not there.
    """
    check_part(name, part)
    train = part == "train"
    stored = _open_tonic(name, "DVSGesture", options, {"train": train})
    order = _sorted_by_path(stored)[fixed_order(len(stored.data))]
    steps = options.timesteps or _GESTURE_STEPS
    read = _reader(stored, order, steps, options.binning or _DEFAULT_BINNING)
    labels = np.asarray(stored.targets, np.int64)[order]
    files = _files(options.folder / "DVSGesture", stored, order)
    return LazySource(f"{name}/{part}", (steps, 2, 128, 128), labels, 11, read, *files)


def open_cifar10_dvs(name: str, part: str, options: SourceOptions) -> LazySource:
    """Return CIFAR10-DVS: counts ``(T, 2, 64, 64)``, 10 classes.

    The data set has no official split: as in the authors' code, the first nine tenths of each
    class, in the order of the file names, are for training. The frames are halved as there: a
    pixel is the mean of 2x2 pixels of the camera, a multiple of 1/4.

    Raises
    ------
    ConfigError
        If tonic or aedat is not installed.
    DataError
        If the files are not there.
    """
    check_part(name, part)
    stored = _open_tonic(name, "CIFAR10DVS", options, {})
    require("aedat", "events")
    chosen = _split(_sorted_by_path(stored), np.asarray(stored.targets, np.int64), part)
    order = chosen[fixed_order(len(chosen))]
    steps = options.timesteps or _CIFAR10_DVS_STEPS
    read = _reader(stored, order, steps, options.binning or _DEFAULT_BINNING)
    labels = np.asarray(stored.targets, np.int64)[order]
    files = _files(options.folder / "CIFAR10DVS", stored, order)
    return LazySource(
        f"{name}/{part}", (steps, 2, 64, 64), labels, 10, lambda index: halve(read(index)), *files
    )


def halve(frames: FloatArray) -> FloatArray:
    """Return the mean of each 2x2 pixels: bilinear scaling to half the size, exactly."""
    *front, height, width = frames.shape
    blocks = frames.reshape(*front, height // 2, 2, width // 2, 2)
    return blocks.mean(axis=(-3, -1), dtype=np.float32)


def _open_tonic(
    name: str, class_name: str, options: SourceOptions, arguments: dict[str, Any]
) -> Any:
    """Open one of tonic's data sets, which downloads only if that was asked for."""
    require("tonic", "events")
    from tonic import datasets

    original = getattr(datasets, class_name)
    folder = options.folder / class_name

    def refuse(self: Any) -> None:
        raise FileNotFoundError("download is not set")

    # tonic downloads whenever files are missing, without asking. It names the folder after the
    # class, so the name stays.
    changes = {} if options.download else {"download": refuse}
    kind = type(class_name, (original,), changes)
    try:
        # tonic reports to standard output, which belongs to our tables.
        with contextlib.redirect_stdout(sys.stderr):
            stored = kind(str(options.folder), **arguments)
        if not stored.data:
            raise FileNotFoundError("no recordings")
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise _missing(name, original, folder, arguments, error) from error
    return stored


def _missing(
    name: str, kind: Any, folder: Path, arguments: dict[str, Any], cause: Exception
) -> DataError:
    if name == "cifar10-dvs":
        archive, unpacked = kind.filename, folder / "<class>" / "*.aedat4"
        origin = f"CIFAR10-DVS (Li et al. 2017) in AEDAT 4, as tonic publishes it: {archive}"
        md5 = kind.file_md5
    else:
        side = "train" if arguments["train"] else "test"
        archive, md5 = getattr(kind, f"{side}_filename"), getattr(kind, f"{side}_md5")
        unpacked = folder / archive.removesuffix(".tar.gz") / "<user>_<light>" / "<label>.npy"
        origin = f"IBM's DVS128 Gesture (Amir et al. 2017), cut by tonic: {archive}"
    return missing_files(
        name,
        [folder / archive, unpacked],
        f"{origin}, MD5 {md5}",
        f"set download, or put {archive} in {folder} and set download: it is then verified and "
        "unpacked from there",
        cause,
    )


def _sorted_by_path(stored: Any) -> np.ndarray:
    """Return the indices in the order of the paths; tonic's is that of the file system."""
    return np.asarray(sorted(range(len(stored.data)), key=stored.data.__getitem__), np.int64)


def _files(folder: Path, stored: Any, order: np.ndarray) -> tuple[Path, tuple[str, ...]]:
    """Return the folder of the recordings, and those that are used."""
    return folder, tuple(stored.data[index] for index in order)


def _split(indices: np.ndarray, targets: np.ndarray, part: str) -> np.ndarray:
    chosen = []
    for label in np.unique(targets):
        of_class = indices[targets[indices] == label]
        cut = math.ceil(len(of_class) * _TRAINING_SHARE)
        chosen.append(of_class[:cut] if part == "train" else of_class[cut:])
    result = np.concatenate(chosen)
    if not len(result):
        raise DataError(f"cifar10-dvs/{part}", "no recordings left", "10 or more of each class")
    return result


def _by_time(events: np.ndarray, steps: int) -> np.ndarray:
    """Frames of the same duration; the events of the last few microseconds are left out."""
    from tonic.transforms import ToFrame

    frames: np.ndarray = ToFrame(sensor_size=_SENSOR, n_time_bins=steps)(events)
    return frames


def _by_count(events: np.ndarray, steps: int) -> np.ndarray:
    """Frames with the same number of events, the remainder in the last, as the authors' loader.

    tonic's own ``n_event_bins`` leaves the remainder out.
    """
    from tonic.transforms import ToFrame

    whole = ToFrame(sensor_size=_SENSOR, n_event_bins=1)
    edges = len(events) // steps * np.arange(steps + 1)
    edges[-1] = len(events)
    return np.concatenate(
        [
            whole(events[first:last]) if last > first else np.zeros((1, *_SENSOR[::-1]))
            for first, last in pairwise(edges)
        ]
    )


# How frames are cut: by `SourceOptions.binning`.
_CUTS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {"time": _by_time, "count": _by_count}


def _reader(
    stored: Any, order: np.ndarray, steps: int, binning: str
) -> Callable[[int], FloatArray]:
    """Return a function that reads the frames of a recording."""
    cut = _CUTS[binning]

    def read(index: int) -> FloatArray:
        path = stored.data[order[index]]
        try:
            check_regular(path, DataError)
            events, _ = stored[order[index]]
            _check_pixels(events)
            # tonic cannot divide a recording without events.
            frames = cut(events, steps) if len(events) else np.zeros((steps, *_SENSOR[::-1]))
        # The readers raise errors of many kinds on damaged files.
        except Exception as error:
            raise DataError(
                path, f"not a readable recording ({str(error)[:200]})", "events of 128x128 pixels"
            ) from error
        return frames.astype(np.float32)

    return read


def _check_pixels(events: np.ndarray) -> None:
    """Raise `ValueError` for events outside the sensor, some of which tonic would count."""
    width, height, _ = _SENSOR
    for axis, side in (("x", width), ("y", height)):
        if len(events) and not (events[axis].min() >= 0 and events[axis].max() < side):
            raise ValueError(f"{axis} from {events[axis].min()} to {events[axis].max()}")
