"""Check states of neurons that a caller provides: names, number, shapes and types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sdt_lava.errors import DataError
from sdt_lava.ir.graph import Graph
from sdt_lava.ir.numerics import Shape


def check_states(graph: Graph, states: Mapping[str, Any], batch: int) -> None:
    """Check states before a run continues from them.

    Parameters
    ----------
    graph : Graph
        Network of the neurons.
    states : mapping of str to tuple of ndarray
        States by population.
    batch : int
        Number of samples of the run.

    Raises
    ------
    DataError
        If a name is not a population with memory, or arrays do not fit the neurons and samples.
    """
    for name, parts in states.items():
        where = f"states of {name!r}"
        if name not in graph.memory_names:
            allowed = f"neurons with memory, such as {list(graph.memory_names[:3])}"
            raise DataError(where, "no such neurons", allowed, "leave it out")
        _check(where, parts, graph.nodes[name].state_shapes((batch, *graph.shapes[name])))


def _check(where: str, parts: Any, shapes: list[Shape]) -> None:
    remedy = "pass what a run of as many samples left behind, or nothing"
    allowed = f"integers of shapes {', '.join(map(str, shapes))}"
    if not isinstance(parts, tuple | list) or len(parts) != len(shapes):
        count = f" of {len(parts)}" if isinstance(parts, tuple | list) else ""
        raise DataError(where, f"a {type(parts).__name__}{count}", f"a tuple: {allowed}", remedy)
    for part, shape in zip(parts, shapes, strict=True):
        if not isinstance(part, np.ndarray):
            raise DataError(where, f"a {type(part).__name__}", allowed, remedy)
        if part.shape != shape or part.dtype.kind not in "biu":
            found = f"an array of shape {part.shape} and type {part.dtype}"
            raise DataError(where, found, allowed, remedy)
