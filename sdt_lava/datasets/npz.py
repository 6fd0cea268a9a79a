"""Read samples from an untrusted NumPy ``.npz`` or ``.npy`` file."""

from __future__ import annotations

import os

import numpy as np

from sdt_lava.datasets.arrays import Header, Headers, array_names, read_arrays, read_npy
from sdt_lava.datasets.base import LAYOUTS, LAYOUTS_TEXT, Dataset
from sdt_lava.errors import DataError


def load_npz(path: str | os.PathLike[str]) -> Dataset:
    """Read ``x`` and, if it exists, ``y`` from a file, checking headers before reading data.

    Parameters
    ----------
    path : path-like
        A file written by ``numpy.savez`` or ``numpy.savez_compressed``, with ``x`` of shape
        ``(B, C, H, W)``, ``(B, T, C, H, W)``, ``(B, features)`` or ``(B, T, features)``,
        integers, booleans or floats, and optionally labels ``y``: integers of shape ``(B,)`` or
        one-hot rows.

    Returns
    -------
    Dataset
        ``x`` as float32.

    Raises
    ------
    DataError
        If the file is missing, damaged or too large, or its arrays are not as described.
    """
    where = str(path)
    names = array_names(path)
    if "x" not in names:
        raise DataError(
            where,
            f"arrays {[name[:40] for name in names[:5]]}",
            "'x', and optionally 'y'",
            "save it with numpy.savez(path, x=..., y=...)",
        )

    def check(headers: Headers) -> None:
        shape = headers["x"].shape
        _check_layout(shape, f"{where}: x")
        if "y" in headers and headers["y"].shape[:1] != shape[:1]:
            problem = f"shape {headers['y'].shape}"
            raise DataError(f"{where}: y", problem, f"({shape[0]},), a label for each sample")

    arrays = read_arrays(path, [name for name in ("x", "y") if name in names], check)
    return _dataset(where, arrays["x"], arrays.get("y"), f"{where}: x")


def load_npy(path: str | os.PathLike[str]) -> Dataset:
    """Read samples without labels from a file written by ``numpy.save``; see `load_npz`."""
    where = str(path)

    def check(header: Header) -> None:
        _check_layout(header.shape, where)

    return _dataset(where, read_npy(path, check), None, where)


def _check_layout(shape: tuple[int, ...], where: str) -> None:
    if len(shape) not in LAYOUTS or 0 in shape:
        raise DataError(where, f"shape {shape}", f"{LAYOUTS_TEXT} without empty axes")


def _dataset(name: str, values: np.ndarray, y: np.ndarray | None, where: str) -> Dataset:
    # Large doubles overflow to infinity here, which the check below reports.
    with np.errstate(over="ignore"):
        x = np.ascontiguousarray(values, dtype=np.float32)
    if not np.isfinite(x).all():
        raise DataError(where, "NaN or infinite values", "finite float32")
    return Dataset(name, x, y)
