"""Damage to bytes, whatever they mean."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

# Values at which lengths, signs and counts turn over.
_BYTES = (0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF)
_WORDS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**40, 2**63 - 1, 2**63, 2**64 - 1)


def _place(rng: Random, content: bytearray) -> int:
    return rng.randrange(len(content))


def _flip(rng: Random, content: bytearray) -> None:
    content[_place(rng, content)] ^= 1 << rng.randrange(8)


def _set(rng: Random, content: bytearray) -> None:
    content[_place(rng, content)] = rng.choice((*_BYTES, rng.randrange(256)))


def _word(rng: Random, content: bytearray) -> None:
    size = rng.choice((2, 4, 8))
    place = _place(rng, content)
    content[place : place + size] = (rng.choice(_WORDS) % 2 ** (8 * size)).to_bytes(size, "little")


def _erase(rng: Random, content: bytearray) -> None:
    place = _place(rng, content)
    del content[place : place + rng.choice((1, 2, 8, 64, 1024))]


def _insert(rng: Random, content: bytearray) -> None:
    place = _place(rng, content)
    content[place:place] = rng.randbytes(rng.choice((1, 2, 8, 64)))


def _repeat(rng: Random, content: bytearray) -> None:
    start, size = _place(rng, content), rng.choice((4, 16, 256))
    content[start:start] = content[start : start + size] * rng.choice((1, 2, 40))


def _swap(rng: Random, content: bytearray) -> None:
    size = rng.choice((4, 16, 128))
    first, second = _place(rng, content), _place(rng, content)
    content[first : first + size] = content[second : second + size]


def _cut(rng: Random, content: bytearray) -> None:
    del content[_place(rng, content) :]


_DAMAGES: tuple[Callable[[Random, bytearray], None], ...] = (
    _flip,
    _flip,
    _set,
    _set,
    _word,
    _word,
    _erase,
    _insert,
    _repeat,
    _swap,
    _cut,
)


def damaged(rng: Random, content: bytes) -> bytes:
    """Return bytes with one to eight damages."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        if changed:
            rng.choice(_DAMAGES)(rng, changed)
    return bytes(changed)
