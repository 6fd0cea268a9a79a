"""What a data set is to the rest of the library."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdt_lava.errors import DataError

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

PARTS = ("train", "test")
# Axes of what a network can take, by their number.
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


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples in memory, with or without labels.

    Parameters
    ----------
    name : str
        What to call it in reports.
    x : ndarray
        float32, images ``(B, C, H, W)`` or event frames ``(B, T, C, H, W)``; for networks that
        take vectors, ``(B, features)`` or ``(B, T, features)``.
    y : ndarray or None
        int64 labels ``(B,)`` from 0, or None where they are not known.
    num_classes : int
        Number of classes; 0 if there are no labels.

    Raises
    ------
    DataError
        If shapes, types or labels contradict each other.
    """

    name: str
    x: FloatArray
    y: IntArray | None
    num_classes: int

    def __post_init__(self) -> None:
        if self.x.ndim not in LAYOUTS or self.x.dtype != np.float32 or 0 in self.x.shape:
            raise DataError(
                f"{self.name}: x",
                f"{self.x.dtype} of shape {self.x.shape}",
                f"float32 {LAYOUTS_TEXT} without empty axes",
            )
        if self.y is not None:
            self._check_labels(self.y)

    def _check_labels(self, y: IntArray) -> None:
        where = f"{self.name}: y"
        if y.dtype != np.int64 or y.shape != (len(self.x),):
            raise DataError(
                where, f"{y.dtype} of shape {y.shape}", f"int64 of shape ({len(self.x)},)"
            )
        if y.min() < 0 or y.max() >= self.num_classes:
            raise DataError(where, f"labels {y.min()} to {y.max()}", f"0 to {self.num_classes - 1}")

    def __len__(self) -> int:
        return len(self.x)

    def head(self, samples: int) -> Dataset:
        """Return the first ``samples`` samples.

        Raises
        ------
        DataError
            If that is less than one or more than there are.
        """
        if not 1 <= samples <= len(self):
            raise DataError("samples", str(samples), f"1 to {len(self)}, the size of {self.name}")
        labels = None if self.y is None else self.y[:samples]
        return Dataset(self.name, self.x[:samples], labels, self.num_classes)
