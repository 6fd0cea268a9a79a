"""What Lava and stock netx make of weights that may not fit their eight bits."""

from __future__ import annotations

import numpy as np

from tests.recordings.store import Case, Cases

SEED = 20_260_517
_MATRICES = 400
# Factors by which a matrix is multiplied before it is given to Lava.
FACTORS = (0.5, 1, 2)
BITS = range(2, 9)


def record(subject: str, executor: str = "processes") -> Cases:
    """Return matrices with what is left of them; these functions need no executor."""
    rng = np.random.default_rng(SEED)
    return {
        "connections": _connections(rng),
        "stock netx": _stock_netx(rng),
        **{f"{bits} bits": _truncated(bits) for bits in BITS},
    }


def _connections(rng: np.random.Generator) -> Case:
    """Matrices in Lava's connections, as they are, doubled and halved."""
    from lava.utils.weightutils import clip_weights, determine_sign_mode, truncate_weights

    def used(matrix: np.ndarray) -> np.ndarray:
        mode = determine_sign_mode(matrix)
        return truncate_weights(clip_weights(matrix, mode, num_bits=8), mode, 8)

    weights = np.stack([_matrix(rng) for _ in range(_MATRICES)])
    kept = [[used((weight * factor).astype(int)) for factor in FACTORS] for weight in weights]
    return {"weights": weights, "kept": np.array(kept)}


def _matrix(rng: np.random.Generator) -> np.ndarray:
    low, high = int(rng.integers(-260, 1)), int(rng.integers(-3, 261))
    if rng.random() < 0.1:  # the end of the range that only inhibitory weights have
        low, high = -256, 0
    weight = rng.integers(min(low, high), high, (3, 4), endpoint=True)
    weight.flat[:2] = low, high
    return weight // 2 * 2 if rng.integers(2) else weight


def _stock_netx(rng: np.random.Generator) -> Case:
    """Forward and recurrent weights, which netx scales together; not a number where it stops."""
    from lava.lib.dl.netx.utils import optimize_weight_bits
    from lava.utils.weightutils import clip_weights, determine_sign_mode, truncate_weights

    def used(parts: np.ndarray) -> np.ndarray:
        try:
            scaled, bits, exponent, _ = optimize_weight_bits(np.hstack(parts))
        except OverflowError:
            return np.full(parts.shape, np.nan)
        found = []
        for part in np.split(scaled, 2, axis=1):
            mode = determine_sign_mode(part)
            clipped = clip_weights(part, mode, num_bits=8)
            found.append(truncate_weights(clipped, mode, bits) * 2.0**exponent)
        return np.stack(found)

    weights = np.stack([_pair(rng) for _ in range(_MATRICES)])
    with np.errstate(all="ignore"):
        return {"weights": weights, "kept": np.stack([used(parts) for parts in weights])}


def _pair(rng: np.random.Generator) -> np.ndarray:
    unit = int(rng.choice([1, 2, 4, 32]))
    limits = ((-999, 999), (0, 999), (-999, 0), (-128, 127))
    ends = np.sort(rng.integers(-280 // unit, 280 // unit + 1, (2, 2)))
    parts = [
        np.clip(unit * rng.integers(*end, (2, 3), endpoint=True), *limits[rng.integers(4)])
        for end in ends
    ]
    return np.stack(parts)


def _truncated(bits: int) -> Case:
    """All weights of both signs in a format of some bits."""
    from lava.utils.weightutils import SignMode, truncate_weights

    weights = np.arange(-256, 256)
    return {"weights": weights, "kept": truncate_weights(weights, SignMode.MIXED, bits)}
