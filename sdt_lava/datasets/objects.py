"""Adapt data sets of Python programs: ours, torch's, or any indexable sequence of samples."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sdt_lava.datasets.base import Dataset, FloatArray, IntArray
from sdt_lava.datasets.source import MemorySource, SampleSource, checked_indices, first_samples
from sdt_lava.errors import DataError
from sdt_lava.support.arrays import as_numpy

_ALLOWED = (
    "a Dataset, a SampleSource, or an object with __len__ and __getitem__ that returns a sample "
    "or (sample, label), such as a map-style torch Dataset"
)


class IndexedSource:
    """A data set of another library, read sample by sample.

    Parameters
    ----------
    samples : object
        Has ``__len__``, and a ``__getitem__`` that returns a sample or ``(sample, label)``.

    Attributes
    ----------
    name : str
        Name of the class of `samples`.
    sample_shape : tuple of int
        Shape of the first sample, which all samples must have.
    num_classes : int
        Length of the attribute ``classes``, as in torchvision; 0 if it is missing.

    Raises
    ------
    DataError
        If there are no samples, or the first one is not an array.
    """

    def __init__(self, samples: Any) -> None:
        self.name = type(samples).__name__
        self._samples = samples
        if not len(self):
            raise DataError(self.name, "no samples", "at least one")
        self.sample_shape = self._read(0)[0].shape
        self.num_classes = len(getattr(samples, "classes", ()))

    def __len__(self) -> int:
        return len(self._samples)

    def _read(self, index: int) -> tuple[FloatArray, int | None]:
        where = f"{self.name}: sample {index}"
        try:
            item = self._samples[index]
        # The data set may raise any exception for a sample that cannot be read.
        except Exception as error:
            problem = f"{type(error).__name__}: {str(error)[:200]}"
            raise DataError(where, problem, "a sample that can be read") from error
        if not isinstance(item, tuple | list):
            return as_numpy(item, where).astype(np.float32), None
        if len(item) != 2:
            raise DataError(where, f"{len(item)} values", "a sample, or (sample, label)")
        return as_numpy(item[0], where).astype(np.float32), self._label(item[1], where)

    @staticmethod
    def _label(label: Any, where: str) -> int:
        value = as_numpy(label, f"{where}, label")
        if value.size != 1:
            raise DataError(f"{where}, label", f"shape {value.shape}", "one whole number")
        return int(value.reshape(()))

    def batches(
        self, indices: Sequence[int] | IntArray | None = None, batch_size: int = 64
    ) -> Iterator[Dataset]:
        """Yield the samples with the given indices (by default all) in order, in batches.

        Raises
        ------
        DataError
            If an index is out of range, a sample cannot be read or has another shape, or a label
            is invalid.
        """
        sample_indices = checked_indices(self, indices, batch_size)
        for start in range(0, len(sample_indices), batch_size):
            rows = [
                self._checked(int(index)) for index in sample_indices[start : start + batch_size]
            ]
            labels = [label for _, label in rows]
            y = None if None in labels else np.asarray(labels, np.int64)
            yield Dataset(self.name, np.stack([x for x, _ in rows]), y, self.num_classes)

    def _checked(self, index: int) -> tuple[FloatArray, int | None]:
        x, label = self._read(index)
        if x.shape != self.sample_shape:
            where = f"{self.name}: sample {index}"
            raise DataError(where, f"shape {x.shape}", f"{self.sample_shape}, as the first one's")
        return x, label


def as_source(data: Any, where: str = "data") -> SampleSource:
    """Return a data set of any kind as a source that is read in batches.

    Parameters
    ----------
    data : Dataset, SampleSource, torch Dataset or other sequence of samples
        The data set, not its name: see :func:`sdt_lava.datasets.open_source`.
    where : str
        Name of the data set in errors.

    Raises
    ------
    DataError
        If `data` has another type.
    """
    if isinstance(data, Dataset):
        return MemorySource(data)
    if all(hasattr(data, name) for name in ("batches", "sample_shape", "num_classes")):
        source: SampleSource = data
        return source
    is_indexed = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    if not is_indexed or isinstance(data, str | bytes | os.PathLike | dict | np.ndarray):
        # A DataLoader has this attribute; it yields batches in its own order.
        remedy = "pass its data set: loader.dataset" if hasattr(data, "dataset") else ""
        raise DataError(where, f"an object of type {type(data).__name__}", _ALLOWED, remedy)
    return IndexedSource(data)


def as_dataset(data: Any) -> Dataset:
    """Load a data set of any kind into memory; parameters and errors are those of `as_source`."""
    return data if isinstance(data, Dataset) else first_samples(as_source(data))


def as_input(x: Any) -> np.ndarray:
    """Convert the input of ``simulate``, an array or a data set, to an array of samples.

    Raises
    ------
    DataError
        If `x` is neither.
    """
    is_array = hasattr(x, "__array__") or isinstance(x, tuple | list | int | float)
    if is_array:
        return as_numpy(x, "input x")
    return first_samples(as_source(x, "input x")).x
