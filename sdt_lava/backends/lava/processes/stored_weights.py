"""Convert weights as Lava's fixed-point connections store them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from lava.utils.weightutils import SignMode, clip_weights, determine_sign_mode, truncate_weights
from scipy.sparse import csr_matrix

_WEIGHT_BITS = 8


def stored_weights(weights: Any, parameters: Mapping[str, Any], *, prune: bool = True) -> Any:
    """Clip and truncate weights as Lava's fixed-point connections do in their first step.

    Parameters
    ----------
    weights : ndarray or csr_matrix
        Weights ``(outputs, inputs)``.
    parameters : mapping
        Parameters of the Process, of which ``sign_mode`` and ``num_weight_bits`` are used.
    prune : bool
        Whether to remove zero entries of a sparse matrix, as Lava does. With them, the entries of a
        convolution are contiguous.

    Returns
    -------
    ndarray or csr_matrix
        Stored weights of int32.
    """
    bits = parameters.get("num_weight_bits", _WEIGHT_BITS)
    if isinstance(weights, csr_matrix) and weights.has_canonical_format:
        data = weights.data
        implied = data if data.size == np.prod(weights.shape) else np.append(data, 0)
        mode = parameters.get("sign_mode") or determine_sign_mode(implied)
        # Lava compares and assigns sparse matrices, which takes far longer.
        parts = (_stored(data, mode, bits), weights.indices.copy(), weights.indptr.copy())
        stored = csr_matrix(parts, weights.shape)
        if prune:
            stored.eliminate_zeros()
        return stored
    return _stored(weights, parameters.get("sign_mode") or determine_sign_mode(weights), bits)


def _stored(weights: Any, mode: SignMode, bits: int) -> Any:
    return truncate_weights(clip_weights(weights, mode, num_bits=_WEIGHT_BITS), mode, bits)
