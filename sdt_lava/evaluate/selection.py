"""Select and order the samples of a data set, and divide them into shards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sdt_lava.errors import ConfigError

# Maximum number of ranges in an option; more are a mistake.
_MOST_RANGES = 100_000


def select(
    size: int, *, indices: str | None = None, shuffle_seed: int | None = None, limit: int | None
) -> list[int]:
    """Select samples and return their indices.

    Parameters
    ----------
    size : int
        Number of samples in the data set.
    indices : str, optional
        Indices of the samples, such as ``'0-99,250,300-310'``; by default all.
    shuffle_seed : int, optional
        Shuffle the samples with this seed, before the limit applies.
    limit : int, optional
        Number of samples to keep from the start.

    Raises
    ------
    ConfigError
        If an index is invalid, out of range or listed twice, or the limit is out of range.
    """
    selection = list(range(size)) if indices is None else _parse(indices, size)
    if shuffle_seed is not None:
        order = np.random.default_rng(shuffle_seed).permutation(len(selection))
        selection = [selection[position] for position in order]
    if limit is not None:
        if not 1 <= limit <= len(selection):
            raise ConfigError("--limit", str(limit), f"1 to {len(selection)}")
        selection = selection[:limit]
    return selection


def shards(indices: Sequence[int], size: int) -> list[tuple[int, ...]]:
    """Divide samples into shards of the given size, in order; the last may be smaller."""
    return [tuple(indices[start : start + size]) for start in range(0, len(indices), size)]


def _parse(text: str, size: int) -> list[int]:
    parts = text.split(",")
    if len(parts) > _MOST_RANGES:
        raise ConfigError("--indices", f"{len(parts)} ranges", f"at most {_MOST_RANGES}")
    selection: list[int] = []
    for part in parts:
        first, dash, last = part.strip().partition("-")
        bounds = (first, last if dash else first)
        if not all(end.isascii() and end.isdigit() and len(end) < 12 for end in bounds):
            raise ConfigError("--indices", repr(part[:40]), "numbers and ranges, as in 0-99,250")
        low, high = int(bounds[0]), int(bounds[1])
        if not low <= high < size:
            raise ConfigError("--indices", part[:40], f"rising, within 0 to {size - 1}")
        selection.extend(range(low, high + 1))
    if len(set(selection)) != len(selection):
        raise ConfigError("--indices", "a sample that is named twice", "each sample once")
    return selection
