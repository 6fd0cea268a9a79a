"""Check the values of an integer graph, in the same way before writing and after reading."""

from __future__ import annotations

from collections.abc import Collection
from math import isfinite, prod
from numbers import Integral, Real
from typing import Any

import numpy as np

from sdt_lava.io.limits import limits, remedy
from sdt_lava.io.netx.schema import (
    INPUTS_LIMIT,
    LAYER_OF_NODE,
    TEXT_LIMIT,
    TIMESTEPS_LIMIT,
    Array,
    Layer,
    Scalar,
)
from sdt_lava.ir import Graph, Input, Node, Synapse
from sdt_lava.ir.numerics import lava_weights

_QUANTIZE = "quantize the network first"


class InvalidValue(Exception):
    """Raised for a value that a network file must not contain; callers complete the location.

    Parameters
    ----------
    where : str
        The node or field, as far as known.
    found, allowed, remedy : str
        As in :class:`sdt_lava.errors.SdtLavaError`.
    """

    def __init__(self, where: str, found: str, allowed: str, remedy: str = "") -> None:
        self.where, self.found, self.allowed, self.remedy = where, found, allowed, remedy
        super().__init__(where, found, allowed, remedy)


def check_sizes(graph: Graph) -> None:
    """Check the number of time steps and of the values that each node emits.

    Raises
    ------
    InvalidValue
        If there are too many.
    """
    checked_number(Scalar("timesteps", 1, TIMESTEPS_LIMIT), graph.timesteps, "graph")
    for node in graph:
        size = prod(graph.shapes[node.name])
        limit = limits().population
        if size > limit:
            problem = f"{size} outputs of shape {graph.shapes[node.name]}"
            raise InvalidValue(describe(node), problem, f"at most {limit}", remedy("population"))


def check_nodes(nodes: Collection[Node]) -> None:
    """Check the number of nodes and each node on its own, but not their connections.

    Raises
    ------
    InvalidValue
        If there are too few or too many nodes, or a value has the wrong type or is out of range.
    """
    limit = limits().network_layers
    if not 0 < len(nodes) <= limit:
        raise InvalidValue(
            "graph", f"{len(nodes)} nodes", f"1 to {limit}", remedy("network_layers")
        )
    for node in nodes:
        _check_node(node)


def describe(node: Node) -> str:
    """Return the name of a node in errors."""
    return f"node {node.name!r} ({node.kind})"


def _check_node(node: Node) -> None:
    """Check the texts, numbers and arrays of a node."""
    where = describe(node)
    layer = layer_of(node)
    for key in ("name", "block", "origin"):
        checked_text(getattr(node, key), f"{where}: {key}", empty=key != "name")
    if len(node.inputs) > INPUTS_LIMIT:
        raise InvalidValue(where, f"{len(node.inputs)} inputs", f"at most {INPUTS_LIMIT}")
    for scalar in layer.scalars:
        checked_scalar(scalar, getattr(node, scalar.name), where)
    for array in layer.arrays:
        values = getattr(node, array.name)
        if values is not None or not array.optional:
            checked_array(array, values, where)
    for field in layer.per_channel:
        value = getattr(node, field.name)
        form = field.form(value)
        if isinstance(form, Array):
            checked_array(form, value, where)
        else:
            checked_scalar(form, value, where)
    if isinstance(node, Input) and node.low > node.high:
        raise InvalidValue(where, f"low {node.low} above high {node.high}", "low <= high")
    if isinstance(node, Input) and node.scale == 0:
        raise InvalidValue(f"{where}: scale", "0: every input looks the same", "another number")
    if isinstance(node, Synapse) and "bias" not in {array.name for array in layer.arrays}:
        _check_no_bias(node)


def layer_of(node: Node) -> Layer:
    """Return the layer type of a node.

    Raises
    ------
    InvalidValue
        If only compiled graphs have nodes of this kind.
    """
    if type(node) not in LAYER_OF_NODE:
        raise InvalidValue(
            describe(node),
            "a kind that only compiled graphs have",
            ", ".join(sorted(kind.kind for kind in LAYER_OF_NODE)),
            "save the graph from before the compiler",
        )
    return LAYER_OF_NODE[type(node)]


def checked_text(text: Any, where: str, *, empty: bool) -> bytes:
    """Return a text encoded as UTF-8.

    Raises
    ------
    InvalidValue
        If it is not a string, empty, too long, or cannot be stored in a fixed-length HDF5 string.
    """
    allowed = f"{'' if empty else 'at least one and '}at most {TEXT_LIMIT} bytes of UTF-8"
    if not isinstance(text, str):
        raise InvalidValue(where, f"a {type(text).__name__}", "a string")
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise InvalidValue(where, f"text that is not Unicode: {text!a}", allowed) from error
    # HDF5 pads fixed-length strings with zero bytes, and terminals execute escape sequences.
    is_printable = text.isprintable()
    if not is_printable or len(encoded) > TEXT_LIMIT or not (encoded or empty):
        problem, allowed = f"{len(encoded)} bytes: {text[:40]!a}", f"{allowed}, all of it printable"
        raise InvalidValue(where, problem, allowed)
    return encoded


def checked_scalar(field: Scalar, value: Any, where: str) -> Any:
    """Check a scalar field and return its plain Python value: a number or a tuple of numbers."""
    if field.count is None:
        return checked_number(field, value, where)
    minimum, maximum = field.count
    if not isinstance(value, (tuple, list)) or not minimum <= len(value) <= maximum:
        allowed = str(minimum) if minimum == maximum else f"{minimum} to {maximum}"
        raise InvalidValue(f"{where}: {field.name}", f"{value!r}", f"a tuple of {allowed} numbers")
    return tuple(checked_number(field, entry, where) for entry in value)


def checked_number(field: Scalar, value: Any, where: str) -> int | float:
    """Check a number against a field's type and range, and return it as a plain int or float."""
    if field.flag:
        if not isinstance(value, bool):
            raise InvalidValue(f"{where}: {field.name}", f"{value!r}", "True or False")
        return int(value)
    allowed = f"{'a number' if field.real else 'an integer'} from {field.low} to {field.high}"
    if not _is_number(value):
        is_legal = False
    elif field.real:
        is_legal = field.low < value < field.high
    else:
        is_legal = field.low <= value <= field.high and float(value).is_integer()
    if not is_legal:
        remedy = _QUANTIZE if isinstance(value, Real) and not isinstance(value, Integral) else ""
        raise InvalidValue(f"{where}: {field.name}", f"{value!r}", allowed, remedy)
    return float(value) if field.real else int(value)


def _is_number(value: Any) -> bool:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        return False
    return isinstance(value, Integral) or isfinite(value)


def checked_array(field: Array, values: Any, where: str) -> np.ndarray:
    """Check the type, rank and range of an array and return it."""
    where = f"{where}: {field.name}"
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iu":
        type_name = getattr(values, "dtype", type(values).__name__)
        raise InvalidValue(where, f"values of type {type_name}", "an array of integers", _QUANTIZE)
    if values.ndim != field.rank or 0 in values.shape:
        raise InvalidValue(where, f"shape {values.shape}", f"{field.rank} axes, none of them empty")
    low, high = int(values.min()), int(values.max())
    if low < field.low or high > field.high:
        raise InvalidValue(where, f"values from {low} to {high}", f"{field.low} to {field.high}")
    if field.eight_bits and lava_weights(values) is None:
        suffix = " with odd ones among them" if (values & 1).any() else ""
        raise InvalidValue(
            where,
            f"weights from {low} to {high}{suffix}, more than eight bits hold",
            "with both signs even ones from -256 to 254, or any from -128 to 127; with one sign "
            "up to 255",
            "Loihi drops the lowest bit of larger weights with both signs; round to even numbers",
        )
    return values


def _check_no_bias(node: Synapse) -> None:
    if node.bias is not None:
        raise InvalidValue(
            describe(node),
            "a bias in a synapse",
            "none: the biases of an integer graph are in its neurons",
            _QUANTIZE,
        )
