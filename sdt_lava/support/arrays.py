"""Convert the arrays that callers pass (NumPy arrays, torch tensors, lists) to NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from sdt_lava.errors import DataError


def as_numpy(x: Any, where: str) -> np.ndarray:
    """Return an array of numbers; a NumPy array is not copied.

    Parameters
    ----------
    x : array_like
        May also be a torch tensor on any device, with or without gradients, of any floating-point
        type.
    where : str
        Name of the array in errors.

    Returns
    -------
    ndarray
        Booleans, integers or floating-point numbers.

    Raises
    ------
    DataError
        If `x` is not an array of real numbers.
    """
    try:
        if callable(getattr(x, "detach", None)):
            x = x.detach().cpu()
            if str(x.dtype) == "torch.bfloat16":  # NumPy has no such type
                x = x.float()
        values = np.asarray(x)
    # Lists of arrays of different shapes, sparse tensors, tensors without data: anything can fail.
    except Exception as error:
        description = f"{type(x).__name__} ({str(error)[:100]})"
        raise DataError(where, description, "an array of numbers") from error
    if np.ma.is_masked(x):
        raise DataError(where, "masked values", "an array without a mask", "x.filled(0)")
    if values.dtype.kind not in "biuf":
        description = f"{type(x).__name__}, as an array of type {values.dtype}"
        raise DataError(where, description, "an array of real numbers")
    return values
