"""Which samples of a data set are evaluated, in which order, in which shards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sdt_lava.errors import ConfigError

# More ranges than this in one option are a mistake.
_MOST_RANGES = 100_000


def select(
    size: int, *, indices: str | None = None, shuffle_seed: int | None = None, limit: int | None
) -> list[int]:
    """Choose samples.

    Parameters
    ----------
    size : int
        Samples of the data set.
    indices : str, optional
        Samples by number, such as ``'0-99,250,300-310'``; all by default.
    shuffle_seed : int, optional
        Shuffle them with this seed, before the limit applies.
    limit : int, optional
        Keep this many from the start.

    Raises
    ------
    ConfigError
        If a number is out of range, or twice there.
    """
    chosen = list(range(size)) if indices is None else _parse(indices, size)
    if shuffle_seed is not None:
        order = np.random.default_rng(shuffle_seed).permutation(len(chosen))
        chosen = [chosen[position] for position in order]
    if limit is not None:
        if not 1 <= limit <= len(chosen):
            raise ConfigError("--limit", str(limit), f"1 to {len(chosen)}")
        chosen = chosen[:limit]
    return chosen


def shards(indices: Sequence[int], size: int) -> list[tuple[int, ...]]:
    """Divide samples into shards of a size, in order; the last may be smaller."""
    return [tuple(indices[start : start + size]) for start in range(0, len(indices), size)]


def _parse(text: str, size: int) -> list[int]:
    parts = text.split(",")
    if len(parts) > _MOST_RANGES:
        raise ConfigError("--indices", f"{len(parts)} ranges", f"at most {_MOST_RANGES}")
    chosen: list[int] = []
    for part in parts:
        first, dash, last = part.strip().partition("-")
        ends = (first, last if dash else first)
        if not all(end.isascii() and end.isdigit() and len(end) < 12 for end in ends):
            raise ConfigError("--indices", repr(part[:40]), "numbers and ranges, as in 0-99,250")
        low, high = int(ends[0]), int(ends[1])
        if not low <= high < size:
            raise ConfigError("--indices", part[:40], f"rising, within 0 to {size - 1}")
        chosen.extend(range(low, high + 1))
    if len(set(chosen)) != len(chosen):
        raise ConfigError("--indices", "a sample that is named twice", "each sample once")
    return chosen
