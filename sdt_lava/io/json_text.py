"""Parse untrusted JSON strictly: no duplicate names, only finite numbers."""

from __future__ import annotations

import json
from reprlib import repr as short_repr
from typing import Any, NoReturn


def parse_json(text: str | bytes) -> Any:
    """Parse a JSON text.

    Parsers disagree on which value of a duplicate name they use, so duplicates are errors.

    Raises
    ------
    ValueError
        If the text is not JSON, or has a duplicate name in an object or a number that is not
        finite.
    RecursionError
        If it is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_each_once, parse_constant=_refuse_constant)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        unique = set()
        for name, _ in pairs:
            if name in unique:
                raise ValueError(f"the name {short_repr(name)} is used twice")
            unique.add(name)
    return entries


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a finite number")
