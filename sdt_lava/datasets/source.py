"""Data sets that may be larger than memory: samples are read by index, on demand."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from sdt_lava.datasets.base import Dataset, FloatArray, IntArray
from sdt_lava.errors import DataError
from sdt_lava.io.limits import limits

# Default location of files.
ROOT_VARIABLE = "SDT_LAVA_DATA"
DEFAULT_ROOT = "data"
BINNINGS = ("time", "count")


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """Location of the files of a data set, and options for making samples from them.

    Parameters
    ----------
    root : path-like, optional
        Folder that contains the data sets; by default the value of the environment variable
        ``SDT_LAVA_DATA``, else ``data``.
    download : bool
        Download and unpack missing files, if the data set can be downloaded.
    timesteps : int, optional
        Event data: number of frames per recording; by default that of the paper's configuration.
    binning : {'time', 'count'}, optional
        Event data: frames of the same duration, or with the same number of events (the default,
        as in the training of the published networks).
    image_size : int, optional
        ImageNet: side of the image, 224 (the default) or 288.
    frame_shape : tuple of int, optional
        Folders: shape ``(C, H, W)`` of an image, or of a frame of event counts.
    normalisation : str, optional
        Folders of images: data set whose mean and standard deviation are used.

    Raises
    ------
    DataError
        If a value is out of range.
    """

    root: str | os.PathLike[str] | None = None
    download: bool = False
    timesteps: int | None = None
    binning: str | None = None
    image_size: int | None = None
    frame_shape: tuple[int, ...] | None = None
    normalisation: str | None = None

    def __post_init__(self) -> None:
        if self.timesteps is not None and self.timesteps < 1:
            raise DataError("timesteps", str(self.timesteps), "1 or more")
        if self.binning not in (None, *BINNINGS):
            raise DataError("binning", repr(self.binning), f"one of {BINNINGS}")

    @property
    def folder(self) -> Path:
        """The folder that contains the data sets."""
        return Path(self.root or os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT).expanduser()

    def check_used(self, name: str, used: Sequence[str]) -> None:
        """Raise `DataError` if an option is set that this data set does not use."""
        for option in ("timesteps", "binning", "image_size", "frame_shape", "normalisation"):
            value = getattr(self, option)
            if value is not None and option not in used:
                raise DataError(
                    f"{name}: {option}", repr(value), f"nothing: {name} has no such option"
                )


class SampleSource(Protocol):
    """A data set whose samples are read on demand, with or without labels.

    Attributes
    ----------
    name : str
        Name in reports.
    sample_shape : tuple of int
        Shape of one sample.
    num_classes : int
        Number of classes.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def sample_shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def num_classes(self) -> int: ...  # noqa: D102

    def __len__(self) -> int: ...

    def batches(
        self, indices: Sequence[int] | IntArray | None = None, batch_size: int = 64
    ) -> Iterator[Dataset]:
        """Yield the samples with the given indices (by default all) in order, in batches."""
        ...


@dataclass(frozen=True, eq=False)
class LazySource:
    """A data set whose samples a function reads by index.

    Parameters
    ----------
    name : str
        Name in reports.
    sample_shape : tuple of int
        Shape of one sample.
    labels : ndarray of int64
        Labels of all samples.
    num_classes : int
        Number of classes.
    read : callable
        Returns the float32 sample at an index; raises `DataError` if it cannot be read.
    folder : Path, optional
        Folder of the files.
    files : tuple of path-like
        Files that the samples are read from.
    """

    name: str
    sample_shape: tuple[int, ...]
    labels: IntArray
    num_classes: int
    read: Callable[[int], FloatArray]
    folder: Path = Path()
    files: tuple[str | os.PathLike[str], ...] = ()

    def listing(self) -> Iterator[tuple[str, int, int]]:
        """Yield relative path, size [bytes] and modification time [ns] of each file, in order.

        Raises
        ------
        DataError
            If a file no longer exists.
        """
        entries = sorted((os.path.relpath(path, self.folder), path) for path in self.files)
        for name, path in entries:
            try:
                status = os.stat(path)
            except OSError as error:
                raise DataError(
                    f"{self.name}: {path}", f"cannot be read: {error.strerror}"
                ) from None
            yield name, status.st_size, status.st_mtime_ns

    def __len__(self) -> int:
        return len(self.labels)

    def _checked(self, sample: FloatArray, index: int) -> FloatArray:
        """Return a sample; raise `DataError` if it is not finite or NumPy would broadcast it."""
        if sample.shape != self.sample_shape:
            problem, allowed = f"shape {sample.shape}", f"{self.sample_shape}, as the first sample"
        elif not np.isfinite(sample).all():
            problem, allowed = "NaN or infinite values", "finite float32"
        else:
            return sample
        where = self.files[index] if index < len(self.files) else f"sample {index}"
        raise DataError(f"{self.name}: {where}", problem, allowed, "make the file again")

    def batches(
        self, indices: Sequence[int] | IntArray | None = None, batch_size: int = 64
    ) -> Iterator[Dataset]:
        """Yield the samples with the given indices (by default all) in order, in batches.

        Raises
        ------
        DataError
            If an index is out of range, a batch is larger than 4 GiB, or a file cannot be read.
        """
        sample_indices = checked_indices(self, indices, batch_size)
        for start in range(0, len(sample_indices), batch_size):
            batch = sample_indices[start : start + batch_size]
            x = np.empty((len(batch), *self.sample_shape), np.float32)
            for row, index in enumerate(batch):
                x[row] = self._checked(self.read(int(index)), int(index))
            yield Dataset(self.name, x, self.labels[batch], self.num_classes)


@dataclass(frozen=True, eq=False)
class MemorySource:
    """A source of samples in memory; ``num_classes`` is 0 without labels."""

    data: Dataset

    @property
    def name(self) -> str:
        """Name in reports."""
        return self.data.name

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.data.x.shape[1:]

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return self.data.num_classes

    def __len__(self) -> int:
        return len(self.data)

    def batches(
        self, indices: Sequence[int] | IntArray | None = None, batch_size: int = 64
    ) -> Iterator[Dataset]:
        """Yield the samples with the given indices (by default all) in order, in batches."""
        sample_indices = checked_indices(self, indices, batch_size)
        y = self.data.y
        for start in range(0, len(sample_indices), batch_size):
            batch = sample_indices[start : start + batch_size]
            labels = None if y is None else y[batch]
            yield Dataset(self.name, self.data.x[batch], labels, self.num_classes)


def checked_indices(
    source: SampleSource, indices: Sequence[int] | IntArray | None, batch_size: int
) -> IntArray:
    """Return the indices as an array; raise `DataError` if they or the batch size are invalid."""
    if batch_size < 1:
        raise DataError(f"{source.name}: batch_size", str(batch_size), "1 or more")
    if indices is None:
        result = np.arange(len(source), dtype=np.int64)
    else:
        result = np.asarray(indices, dtype=np.int64).reshape(-1)
    if len(result) and not (result.min() >= 0 and result.max() < len(source)):
        problem = f"{result.min()} to {result.max()}"
        raise DataError(f"{source.name}: indices", problem, f"0 to {len(source) - 1}")
    _check_memory(source, min(batch_size, len(result)))
    return result


def first_samples(source: SampleSource, samples: int | None = None) -> Dataset:
    """Load the first samples of a source into memory, by default all.

    Raises
    ------
    DataError
        If the source has fewer samples, or they are not yet in memory and take more than 4 GiB.
    """
    if isinstance(source, MemorySource):
        return source.data if samples is None else source.data.head(samples)
    count = len(source) if samples is None else samples
    if not 1 <= count <= len(source):
        raise DataError("samples", str(count), f"1 to {len(source)}, the size of {source.name}")
    return next(source.batches(np.arange(count), count))


def _check_memory(source: SampleSource, samples: int) -> None:
    size = math.prod(source.sample_shape)
    limit = limits().batch_values
    if samples * size > limit:
        raise DataError(
            source.name,
            f"{samples} samples of shape {source.sample_shape}, {samples * size * 4 / 2**30:.1f} "
            "GiB at once",
            f"at most {limit // size} samples at once ({limit * 4 / 2**30:.1f} GiB)",
            "ask for fewer samples, or read all in batches: "
            "sdt_lava.datasets.open_source(...).batches(); with enough memory: "
            "--allow batch-values=VALUE",
        )


def fixed_order(samples: int) -> IntArray:
    """Return a fixed random order, which mixes samples that are stored class by class."""
    return np.random.default_rng(0).permutation(samples).astype(np.int64)


def missing_files(
    name: str, files: Sequence[Path], origin: str, remedy: str, cause: Exception | None = None
) -> DataError:
    """Return the error for missing files: their names, their origin and where to put them."""
    reason = f" ({str(cause)[:200]})" if cause is not None else ""
    return DataError(
        f"{name}: files",
        f"not found or incomplete: {', '.join(map(str, files))}{reason}",
        f"the files of {origin}",
        remedy,
    )
