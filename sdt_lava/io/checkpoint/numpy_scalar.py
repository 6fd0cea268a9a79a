"""Read NumPy scalars in a pickle as Python numbers, without NumPy's own reconstruction.

A training script that stores ``numpy.float64(91.2)`` as its metric pickles a call of
``numpy.core.multiarray.scalar`` with a data type and the bytes of the number. NumPy's function
accepts any data type, even object, and trusts it. Here, the data type must be in a short list of
names, the bytes must have exactly its size, and the result is an ``int``, ``float`` or ``bool``.
"""

from __future__ import annotations

import pickle
import struct
from typing import Any

# Format of `struct` for each name of a type in a pickle.
_FORMATS = {
    "b1": "?",
    "i1": "b",
    "i2": "h",
    "i4": "i",
    "i8": "q",
    "u1": "B",
    "u2": "H",
    "u4": "I",
    "u8": "Q",
    "f2": "e",
    "f4": "f",
    "f8": "d",
}
# The state from dtype.__reduce__ for a type without fields, shape, metadata or its own alignment:
# the version, the byte order, and these values.
_STATE_VERSION = 3
_PLAIN_STATE = (None, None, None, -1, -1, 0)
# Protocol 2 has no bytes objects: it stores text, which is encoded on reading. The longest number
# has 8 bytes.
_LONGEST = 8


class ScalarType:
    """Stand-in for the ``numpy.dtype`` of a plain number."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.order = ""

    def restore(self, state: object) -> None:
        """Set the byte order from the state that NumPy pickles.

        Raises
        ------
        UnpicklingError
            If the state is not that of a plain little-endian number.
        """
        expected = "|" if self.name[1] == "1" else "<"
        if not _equal(state, (_STATE_VERSION, expected, *_PLAIN_STATE)):
            raise pickle.UnpicklingError("a numpy.dtype that is not a plain little-endian number")
        self.order = expected


def scalar_type(*arguments: Any) -> ScalarType:
    """Stand in for ``numpy.dtype(name, align=False, copy=True)``.

    Raises
    ------
    UnpicklingError
        If the name is not that of a plain numeric type.
    """
    name = arguments[0] if arguments else None
    if type(name) is not str or name not in _FORMATS or not _equal(arguments[1:], (False, True)):
        raise pickle.UnpicklingError("a numpy.dtype that is not a plain number")
    return ScalarType(name)


def scalar(*arguments: Any) -> bool | int | float:
    """Stand in for ``numpy.core.multiarray.scalar(dtype, bytes)``.

    Raises
    ------
    UnpicklingError
        If the bytes are not exactly one number of the type.
    """
    if len(arguments) != 2 or type(arguments[0]) is not ScalarType:
        raise pickle.UnpicklingError("a NumPy scalar without a data type")
    kind, data = arguments
    if not kind.order or type(data) is not bytes:
        raise pickle.UnpicklingError("a NumPy scalar without a byte order or bytes")
    reader = struct.Struct("<" + _FORMATS[kind.name])
    if len(data) != reader.size:
        raise pickle.UnpicklingError(f"{len(data)} bytes for a NumPy scalar of {reader.size}")
    number: bool | int | float = reader.unpack(data)[0]
    return number


def encoded(*arguments: Any) -> bytes:
    """Stand in for ``_codecs.encode(text, 'latin1')``, which protocol 2 uses for bytes.

    Raises
    ------
    UnpicklingError
        If the encoding is not latin1, or the text is longer than a number.
    """
    if len(arguments) != 2 or not _equal(arguments[1:], ("latin1",)):
        raise pickle.UnpicklingError("text in an encoding that is not latin1")
    text = arguments[0]
    if type(text) is not str or len(text) > _LONGEST:
        raise pickle.UnpicklingError("bytes that are not a number")
    return text.encode("latin1")


def _equal(found: object, expected: tuple[Any, ...]) -> bool:
    """Return whether a tuple has exactly these entries and types (True does not equal 1 here)."""
    return (
        type(found) is tuple
        and len(found) == len(expected)
        and all(
            type(left) is type(right) and left == right
            for left, right in zip(found, expected, strict=True)
        )
    )
