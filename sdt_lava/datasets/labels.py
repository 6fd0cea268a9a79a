"""Check labels from callers and files, and compare them with the classes of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sdt_lava.errors import ConfigError, DataError
from sdt_lava.ir.numerics import IntArray
from sdt_lava.support.arrays import as_numpy

if TYPE_CHECKING:
    from sdt_lava.ir import Graph

_ALLOWED = "whole numbers (B,) from 0, or one-hot rows (B, classes)"


def as_labels(y: Any, samples: int, where: str) -> IntArray:
    """Convert labels to int64, if their meaning is unambiguous.

    Parameters
    ----------
    y : array_like
        Integers or integral floating-point numbers ``(B,)`` or ``(B, 1)``, or one-hot rows
        ``(B, classes)`` with a single 1 each.
    samples : int
        Number of samples B.
    where : str
        Name of the labels in errors.

    Returns
    -------
    ndarray of int64
        ``(B,)``.

    Raises
    ------
    DataError
        If the values are not valid labels, or negative.
    """
    values = as_numpy(y, where)
    if values.shape[:1] != (samples,) or values.ndim > 2:
        problem = f"{values.dtype} of shape {values.shape}"
        raise DataError(where, problem, f"{_ALLOWED}, a label for each of {samples} samples")
    if values.ndim == 2 and values.shape[1] != 1:
        return _from_one_hot(values, where)
    values = values.reshape(-1)
    if values.dtype.kind == "b":
        raise DataError(where, "dtype bool", _ALLOWED, "y.astype(int) if True is class 1")
    if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
        raise DataError(where, "fractions, NaN or infinity", _ALLOWED)
    if samples and (values.min() < 0 or values.max() > np.iinfo(np.int32).max):
        raise DataError(where, f"labels {values.min()} to {values.max()}", "labels from 0")
    return values.astype(np.int64)


def _from_one_hot(values: Any, where: str) -> IntArray:
    is_one_hot = bool(np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all())
    if not is_one_hot:
        problem = f"{values.dtype} of shape {values.shape}, not a single 1 in each row"
        raise DataError(where, problem, _ALLOWED)
    return values.argmax(axis=1).astype(np.int64)


def check_labels(labels: IntArray | None, classes: int, where: str) -> None:
    """Check that labels are classes of a network.

    Parameters
    ----------
    labels : ndarray of int64 or None
        Labels from 0; None always passes.
    classes : int
        Number of outputs of the network.
    where : str
        Name of the labels in errors.

    Raises
    ------
    DataError
        If a label is not one of the network's classes.
    """
    if labels is None or not len(labels):
        return
    low, high = int(labels.min()), int(labels.max())
    if low >= 0 and high < classes:
        return
    remedy = "use the data set that the network was trained on"
    if low == 1 and high == classes:
        remedy = "count classes from 0: y - 1"
    problem = f"labels {low} to {high}"
    raise DataError(
        where, problem, f"0 to {classes - 1}: the network has {classes} classes", remedy
    )


def check_classes(net: Graph, labels: IntArray | None, name: str) -> None:
    """Check that a network is a classifier and has the classes of a data set's labels.

    Parameters
    ----------
    net : Graph
        Integer network.
    labels : ndarray of int64 or None
        Labels ``(B,)``; None always passes.
    name : str
        Name of the data set.

    Raises
    ------
    ConfigError
        If the network's output is not a vector with one value per class.
    DataError
        If a label is not one of its classes.
    """
    if labels is None:
        return
    shape = net.shapes[net.output_name]
    if len(shape) != 1:
        raise ConfigError(
            f"output {net.output_name!r}",
            f"shape {shape}",
            "(classes,), to compare it with labels",
            "leave the labels out of the data to run the network only",
        )
    check_labels(labels, shape[0], f"{name}: y")
