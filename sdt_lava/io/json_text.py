"""JSON from anywhere: names once, finite numbers."""

from __future__ import annotations

import json
from reprlib import repr as short_repr
from typing import Any, NoReturn


def parse_json(text: str | bytes) -> Any:
    """Return what a JSON text holds.

    Readers differ in which of two values of one name they take, so there may be one only.

    Raises
    ------
    ValueError
        If it is no JSON, has a name twice in one object, or a number that is not finite.
    RecursionError
        If it is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_each_once, parse_constant=_refuse_constant)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = set()
        for name, _ in pairs:
            if name in names:
                raise ValueError(f"the name {short_repr(name)} is used twice")
            names.add(name)
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a finite number")
