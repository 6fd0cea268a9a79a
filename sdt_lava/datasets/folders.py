"""Read folders with one subfolder per class: images, or event data cached by SpikingJelly."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sdt_lava.datasets.arrays import Headers, array_names, read_arrays
from sdt_lava.datasets.base import FloatArray, check_part
from sdt_lava.datasets.images import image_reader
from sdt_lava.datasets.source import LazySource, SourceOptions, fixed_order
from sdt_lava.errors import DataError

logger = logging.getLogger(__name__)

# Folder names of the two parts in data sets of torchvision and SpikingJelly.
_PARTS = {"train": ("train", "training"), "test": ("test", "val", "valid", "validation")}
_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
# Folders of spikingjelly.datasets: frames of recordings, and their events.
_FRAMES = re.compile(r"frames_number_(\d+)_split_by_(number|time)")
_EVENTS = "events_np"
_BINNINGS = {"number": "count", "time": "time"}
_EVENT_FIELDS = ("t", "x", "y", "p")
_MOST_TIME = 2**62 - 1
_LAYOUT = "PART/CLASS/FILE or CLASS/FILE, of images or of SpikingJelly's .npz files"


def open_folder(path: str, part: str, options: SourceOptions) -> LazySource:
    """Open the data set in a folder; labels are the positions of the sorted class folders.

    As in torchvision's ``DatasetFolder`` and SpikingJelly, folders are sorted as text: the classes
    ``1``, ``10``, ``2`` have this order.

    Parameters
    ----------
    path : str
        Folder that contains class folders, or ``train`` and ``test`` (or ``val``) folders with
        class folders; or a folder with event data cached by SpikingJelly (``frames_number_…`` or
        ``events_np``). Without separate parts, `part` is ignored.
    part : {'train', 'test'}
        Part to open.
    options : SourceOptions
        ``timesteps``, ``binning`` and ``frame_shape`` of frames that are binned from events, and
        ``frame_shape`` and ``normalisation`` of images.

    Raises
    ------
    DataError
        If folders or files are missing, or a file cannot be read.
    """
    check_part(path, part)
    folder = _half(_cached(Path(path), options), part)
    files, labels, classes = _list_files(folder)
    order = fixed_order(len(files))
    files = [files[index] for index in order]
    read = _reader(files[0], options)
    return LazySource(
        name=f"{path}/{folder.name}" if folder != Path(path) else path,
        sample_shape=read(files[0]).shape,
        labels=labels[order],
        num_classes=len(classes),
        read=lambda index: read(files[index]),
        folder=folder,
        files=tuple(files),
    )


def _subfolders(folder: Path) -> list[Path]:
    """Return the subfolders of a folder, without hidden ones."""
    try:
        entries = sorted(folder.iterdir())
        return [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(str(folder), f"cannot be read: {error.strerror}", _LAYOUT) from error


def _cached(folder: Path, options: SourceOptions) -> Path:
    """Return the folder of frames or events in a SpikingJelly cache, else the folder itself."""
    names = {entry.name: entry for entry in _subfolders(folder)}
    frames = {name: match for name in names if (match := _FRAMES.fullmatch(name))}
    for name, match in frames.items():
        steps, binning = int(match[1]), _BINNINGS[match[2]]
        if options.timesteps in (None, steps) and options.binning in (None, binning):
            return names[name]
    if _EVENTS in names:
        return names[_EVENTS]
    if frames:
        request = f"{options.timesteps} steps, binned by {options.binning or 'count or time'}"
        remedy = "name one of these folders to use its frames as they are"
        raise DataError(str(folder), f"frames {sorted(frames)}", f"frames of {request}", remedy)
    return folder


def has_halves(path: str) -> bool:
    """Return whether a folder, or a SpikingJelly cache in it, contains both parts.

    Raises
    ------
    DataError
        If the folder cannot be read.
    """
    folder = _cached(Path(path), SourceOptions())
    names = {entry.name for entry in _subfolders(folder)}
    return all(names & set(half) for half in _PARTS.values())


def _half(folder: Path, part: str) -> Path:
    names = {entry.name: entry for entry in _subfolders(folder)}
    for name in _PARTS[part]:
        if name in names:
            return names[name]
    (other,) = set(_PARTS) - {part}
    if any(name in names for name in _PARTS[other]):
        problem = f"folders {sorted(names)[:8]}"
        raise DataError(str(folder), problem, f"one of {_PARTS[part]} for the {part} part")
    return folder


def _list_files(folder: Path) -> tuple[list[Path], np.ndarray, list[str]]:
    classes = _subfolders(folder)
    suffixes = (".npz", *_IMAGES)
    samples = [
        (path, label)
        for label, entry in enumerate(classes)
        for path in sorted(entry.iterdir())
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    ]
    kinds = {path.suffix.lower() == ".npz" for path, _ in samples}
    if not samples or len(kinds) > 1:
        problem = (
            "images and .npz files" if samples else f"{len(classes)} folders without such files"
        )
        raise DataError(str(folder), problem, _LAYOUT)
    files, labels = zip(*samples, strict=True)
    return list(files), np.asarray(labels, np.int64), [entry.name for entry in classes]


def _reader(first: Path, options: SourceOptions) -> Callable[[Path], FloatArray]:
    if first.suffix.lower() != ".npz":
        return image_reader(first, options)
    if "frames" in array_names(first):
        return _read_frames
    steps, frame = options.timesteps, options.frame_shape
    if steps is None or frame is None or len(frame) != 3 or frame[0] != 2:
        raise DataError(
            f"{first.parent}: events",
            f"frames of shape {(steps, *(frame or ()))}",
            "a number of steps T and the shape (2, H, W) of the camera's frames",
            "SourceOptions(timesteps=T, frame_shape=(2, H, W)); commands take both from the "
            "network",
        )
    binning = options.binning or "count"
    return lambda path: _bin(_read_events(path), steps, frame[1:], binning, str(path))


def _read_frames(path: Path) -> FloatArray:
    def check(headers: Headers) -> None:
        shape = headers["frames"].shape
        if len(shape) != 4:
            raise DataError(f"{path}: frames", f"shape {shape}", "(T, C, H, W)")

    frames = read_arrays(path, ["frames"], check)["frames"]
    # Large doubles overflow to infinity here, which the source reports.
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(frames, np.float32)


def _read_events(path: Path) -> Mapping[str, np.ndarray]:
    def check(headers: Headers) -> None:
        shapes = {headers[name].shape for name in _EVENT_FIELDS}
        if len(shapes) > 1 or len(*shapes) != 1:
            problem = f"fields of shapes {sorted(shapes)}"
            raise DataError(f"{path}: t, x, y, p", problem, "fields of one length")

    return read_arrays(path, _EVENT_FIELDS, check)


def _whole(values: np.ndarray, where: str) -> np.ndarray:
    """Return a field of events as int64; raise `DataError` if that would change its values."""
    if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
        remedy = "times in microseconds, as cameras give them; whole pixels"
        raise DataError(where, "fractions or NaN", "whole numbers", remedy)
    # Differences of times must also fit into int64.
    if len(values) and not (values.min() >= -_MOST_TIME and values.max() <= _MOST_TIME):
        problem = f"{values.min()} to {values.max()}"
        raise DataError(where, problem, f"numbers within +-{_MOST_TIME}")
    return values.astype(np.int64)


def _bin(
    events: Mapping[str, Any], steps: int, sensor: tuple[int, ...], cut: str, where: str
) -> FloatArray:
    """Count events per pixel, polarity and step, as spikingjelly.datasets does.

    With ``"count"``, each step has the same number of events; with ``"time"``, the same duration.
    The last step gets the remainder.
    """
    height, width = sensor
    t, x, y, p = (_whole(events[name], f"{where}: {name}") for name in _EVENT_FIELDS)
    for name, values, side in (("x", x, width), ("y", y, height), ("p", p, 2)):
        if len(values) and not (values.min() >= 0 and values.max() < side):
            problem = f"{name} from {values.min()} to {values.max()}"
            raise DataError(where, problem, f"0 to {side - 1}", "give the shape of the camera")
    if not len(t):
        return np.zeros((steps, 2, height, width), np.float32)
    position = np.arange(len(t)) if cut == "count" else t - t[0]
    bin_size = (len(t) if cut == "count" else int(position[-1])) // steps
    # With fewer events than steps, all of them are the remainder.
    step = np.clip(position // bin_size, 0, steps - 1) if bin_size else np.full(len(t), steps - 1)
    flat_index = ((step * 2 + p) * height + y) * width + x
    counts = np.bincount(flat_index, minlength=steps * 2 * height * width)
    return counts.astype(np.float32).reshape(steps, 2, height, width)
