"""Arrays as callers have them: NumPy's, torch's, lists."""

from __future__ import annotations

from typing import Any

import numpy as np

from sdt_lava.errors import DataError


def as_numpy(x: Any, where: str) -> np.ndarray:
    """Return an array of numbers, without copying one that is in NumPy's memory already.

    Parameters
    ----------
    x : array_like
        Also a torch tensor on any device, with or without gradients, of any floating-point type.
    where : str
        What to call it in an error.

    Returns
    -------
    ndarray
        Booleans, integers or floating-point numbers.

    Raises
    ------
    DataError
        If it is no array of real numbers.
    """
    try:
        if callable(getattr(x, "detach", None)):
            x = x.detach().cpu()
            if str(x.dtype) == "torch.bfloat16":  # which NumPy does not have
                x = x.float()
        values = np.asarray(x)
    # Lists of arrays of different shapes, sparse tensors, tensors without values, anything.
    except Exception as error:
        found = f"{type(x).__name__} ({str(error)[:100]})"
        raise DataError(where, found, "an array of numbers") from error
    if np.ma.is_masked(x):
        raise DataError(where, "masked values", "an array without a mask", "x.filled(0)")
    if values.dtype.kind not in "biuf":
        found = f"{type(x).__name__}, as an array of type {values.dtype}"
        raise DataError(where, found, "an array of real numbers")
    return values
