"""Arrays in NumPy's file format whose headers lie."""

from __future__ import annotations

import io
import struct
from random import Random

import numpy as np

from tests.fuzz.mutate_bytes import damaged
from tests.fuzz.mutate_pickle import payload

_SHAPES = (
    "(4, 2, 6, 5)",
    "(4,)",
    "()",
    "(0, 2, 6, 5)",
    "(-4, 2, 6, 5)",
    "(4, 2, 6, -5)",
    "(-2, -2)",
    "(1073741824, 1073741824)",
    "(16384, 16384)",
    "(268435456, 1)",
    "(9223372036854775807, 2)",
    "(4611686018427387904, 4, 1, 1)",
    "(True, 2)",
    "(1.5, 2)",
    "[4, 2, 6, 5]",
    "'4'",
    "(4, 2, 6, 5, 1, 1, 1)",
    "(" * 150 + "4" + ",)" * 150,
    "__import__('os').system('touch ran')",
)
_TYPES = (
    "'<f4'",
    "'<f8'",
    "'>f8'",
    "'<f2'",
    "'<i8'",
    "'|b1'",
    "'|u1'",
    "'|O'",
    "'<c8'",
    "'<U9'",
    "'|S0'",
    "'<g'",
    "'<M8[s]'",
    "'|V16'",
    "[('a', '<i4')]",
    "[('a', '|O')]",
    "('<i4', (2, 2))",
    "5",
    "None",
)


def odd_npy(rng: Random, marker: str) -> bytes:
    """Return an array file with another header, or a true one of an odd array."""
    if rng.random() < 0.3:
        return damaged(rng, _true(rng, marker))
    order = rng.choice(("False", "True", "5"))
    header = f"{{'descr': {rng.choice(_TYPES)}, 'fortran_order': {order}, "
    header += f"'shape': {rng.choice(_SHAPES)}, {rng.choice(('', '', '', '5: 1'))}}}"
    header = header.ljust(rng.choice((64, 118, 9000, 60_000))) + "\n"
    version = rng.choice(((1, 0), (1, 0), (1, 0), (2, 0), (3, 0), (9, 9)))
    size = rng.choice((len(header), len(header), len(header), 0, 10, 65_535))
    start = b"\x93NUMPY" + bytes(version) + struct.pack("<H", min(size, 65_535))
    return start + header.encode() + bytes(rng.choice((0, 16, 960, 1920)))


def _true(rng: Random, marker: str) -> bytes:
    values = rng.choice(
        (
            np.zeros((4, 2, 6, 5), "f4"),
            np.full((4, 2, 6, 5), np.nan),
            np.full((4, 2, 6, 5), 1e300),
            np.arange(4),
            np.array([-1, 0, 1, 2]),
            np.array([2**62, 0, 1, 2]),
            np.zeros((2000, 2000, 1, 1), "f8"),
            np.zeros((4, 3, 2, 6, 5), "u1"),
            np.zeros((4, 2)),
        )
    )
    if rng.random() < 0.2:
        values = np.empty(1, object)
        values[0] = payload(rng, marker)
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=True)
    return buffer.getvalue()
