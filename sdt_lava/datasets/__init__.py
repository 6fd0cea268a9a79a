"""Data sets by name, or from ``.npz`` files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from sdt_lava.datasets.base import Dataset
from sdt_lava.datasets.digits import load_digits_split
from sdt_lava.datasets.npz import load_npz
from sdt_lava.errors import DataError

__all__ = ["DATASETS", "Dataset", "load_dataset", "load_digits_split", "load_npz"]

# Name to a function from the part ('train' or 'test') to the samples.
DATASETS: dict[str, Callable[[str], Dataset]] = {"digits": load_digits_split}


def load_dataset(
    name_or_path: str | os.PathLike[str], part: str = "test", samples: int | None = None
) -> Dataset:
    """Return a data set.

    Parameters
    ----------
    name_or_path : str or path-like
        A name in `DATASETS`, or the path of an ``.npz`` file.
    part : {'train', 'test'}
        Which part; files have only one and ignore this.
    samples : int, optional
        Take this many from the start.

    Raises
    ------
    DataError
        If there is no such data set, part or file, or fewer samples.
    """
    name = os.fspath(name_or_path)
    if name in DATASETS:
        data = DATASETS[name](part)
    elif Path(name).suffix == ".npz":
        data = load_npz(name)
    else:
        raise DataError("data set", repr(name), f"one of {sorted(DATASETS)} or an .npz file")
    return data if samples is None else data.head(samples)
