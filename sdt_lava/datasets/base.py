"""Data sets in memory, as the rest of the library uses them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdt_lava.datasets.labels import as_labels
from sdt_lava.errors import DataError
from sdt_lava.ir.numerics import FLOAT32_EXACT
from sdt_lava.support.arrays import as_numpy

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

PARTS = ("train", "test")
# Axes of the samples that a network can take, by number of axes.
LAYOUTS = {
    2: "(B, features)",
    3: "(B, T, features)",
    4: "(B, C, H, W)",
    5: "(B, T, C, H, W)",
}
LAYOUTS_TEXT = " or ".join(LAYOUTS.values())


def check_part(name: str, part: str) -> None:
    """Raise `DataError` unless ``part`` is one of `PARTS`."""
    if part not in PARTS:
        raise DataError(f"{name}: part", repr(part), f"one of {PARTS}")


def _as_float32(x: np.ndarray, where: str) -> FloatArray:
    if x.dtype.kind in "iu" and max(-int(x.min()), int(x.max())) > FLOAT32_EXACT:
        problem = f"integers {x.min()} to {x.max()}"
        raise DataError(where, problem, f"at most {FLOAT32_EXACT}, which float32 holds exactly")
    with np.errstate(over="ignore"):  # code that uses infinite values reports them
        return np.asarray(x, np.float32)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples in memory, with or without labels.

    Parameters
    ----------
    name : str
        Name in reports.
    x : array_like
        Images ``(B, C, H, W)`` or event frames ``(B, T, C, H, W)``; for networks that take
        vectors, ``(B, features)`` or ``(B, T, features)``. Stored as float32.
    y : array_like or None
        Labels ``(B,)`` from 0 or one-hot rows ``(B, classes)``, or None if they are unknown.
        Stored as int64 ``(B,)``.
    num_classes : int, optional
        Number of classes; by default the highest label plus one, or 0 without labels.

    Raises
    ------
    DataError
        If a shape, type or label is invalid, or they contradict each other.
    """

    name: str
    x: FloatArray
    y: IntArray | None
    num_classes: int = 0

    def __post_init__(self) -> None:
        x = as_numpy(self.x, f"{self.name}: x")
        if x.ndim not in LAYOUTS or 0 in x.shape:
            raise DataError(
                f"{self.name}: x", f"shape {x.shape}", f"{LAYOUTS_TEXT} without empty axes"
            )
        object.__setattr__(self, "x", _as_float32(x, f"{self.name}: x"))
        if self.y is None:
            return
        where = f"{self.name}: y"
        labels = as_labels(self.y, len(x), where)
        object.__setattr__(self, "y", labels)
        highest = int(labels.max())
        object.__setattr__(self, "num_classes", self.num_classes or highest + 1)
        if highest >= self.num_classes:
            problem = f"labels {labels.min()} to {highest}"
            raise DataError(where, problem, f"0 to {self.num_classes - 1}")

    def __len__(self) -> int:
        return len(self.x)

    def head(self, samples: int) -> Dataset:
        """Return the first ``samples`` samples.

        Raises
        ------
        DataError
            If `samples` is less than one or larger than the data set.
        """
        if not 1 <= samples <= len(self):
            raise DataError("samples", str(samples), f"1 to {len(self)}, the size of {self.name}")
        labels = None if self.y is None else self.y[:samples]
        return Dataset(self.name, self.x[:samples], labels, self.num_classes)
