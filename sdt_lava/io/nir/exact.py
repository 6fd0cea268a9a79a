"""Restore the integers of an sdt-lava network from its NIR graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from sdt_lava.errors import NirError
from sdt_lava.io.json_text import parse_json
from sdt_lava.io.netx.schema import DRIVE_SHIFT_LIMIT
from sdt_lava.io.nir.values import numbers
from sdt_lava.ir import (
    Conv,
    CubaLif,
    Dense,
    Graph,
    Lif,
    Node,
    Readout,
    Shape,
    SpikingNeurons,
    Synapse,
)
from sdt_lava.ir.biases import gather_biases
from sdt_lava.ir.numerics import BIAS_EXPONENT, BIAS_EXPONENT_HIGH

Metadata = Mapping[str, Mapping[str, Any]]

# Thresholds are quotients of time constants: integers up to rounding errors.
_ROUNDING = 1e-9
_CHANGED = "leave the metadata of sdt-lava out, or import with requantize"


def header_number(source: nir.NIRGraph, key: str, *, real: bool = False) -> Any:
    """Return a number from the graph's metadata, or None if it is missing.

    Raises
    ------
    NirError
        If it is not a single number of the requested type.
    """
    if key not in source.metadata:
        return None
    return _number(source.metadata[key], f"NIR graph: metadata {key!r}", real=real)


def graph_metadata(source: nir.NIRGraph) -> dict[str, Any]:
    """Return the network's own metadata, which the NIR graph stores as JSON.

    Raises
    ------
    NirError
        If they are not a JSON object.
    """
    where = "NIR graph: metadata 'network'"
    text = source.metadata.get("network", "{}")
    try:
        metadata = parse_json(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise NirError(where, f"not JSON ({str(error)[:80]})", "a JSON object") from error
    if not isinstance(metadata, dict):
        raise NirError(where, f"JSON {type(metadata).__name__}", "a JSON object")
    return metadata


def restore_integers(graph: Graph, metadata: Metadata) -> Graph:
    """Restore the original integer network from the float graph of sdt-lava's NIR graph.

    Parameters
    ----------
    graph : Graph
        Float graph from `FloatMaker`.
    metadata : mapping
        Metadata of each NIR node.

    Raises
    ------
    NirError
        If a number is not the required integer.
    """
    nodes = gather_biases(graph)
    return graph.rebuild(
        _RESTORERS[type(node)](node, metadata.get(node.name, {}), graph.shapes[node.name])
        if type(node) in _RESTORERS
        else node
        for node in nodes
    )


def _restored_synapse(node: Any, metadata: Mapping[str, Any], shape: Shape) -> Any:
    exponent = _exponent(node, metadata)
    rows = np.reshape(exponent, (-1, *(1,) * (node.weight.ndim - 1)))
    weight = _integers(np.ldexp(node.weight, -rows), f"{node.name}: weight")
    return replace(node, weight=weight, exponent=exponent)


def _restored_readout(node: Readout, metadata: Mapping[str, Any], shape: Shape) -> Readout:
    scale = _number(metadata.get("scale"), f"{node.name}: metadata 'scale'", real=True)
    # Older files have no key 'has_bias', and no bias array unless there is a bias.
    has_bias = metadata.get("has_bias", node.bias is not None)
    bias = None
    if node.bias is not None and np.any(has_bias):
        bias = _integers(np.asarray(node.bias, np.float64), f"{node.name}: bias")
    elif node.bias is not None and np.any(node.bias):
        raise NirError(f"{node.name}: bias", "a bias that the metadata deny", "none", _CHANGED)
    readout: Readout = _restored_synapse(node, metadata, shape)
    return replace(readout, scale=scale, bias=bias)


def _restored_lif(node: Lif, metadata: Mapping[str, Any], shape: Shape) -> Lif:
    threshold = _integers(np.array([node.threshold]), f"{node.name}: threshold")
    exponent, bias = _restored_bias(node, metadata, shape)
    return replace(node, threshold=int(threshold[0]), bias=bias, bias_exponent=exponent)


def _restored_cuba(node: CubaLif, metadata: Mapping[str, Any], shape: Shape) -> CubaLif:
    shift = _number(metadata.get("drive_shift"), f"{node.name}: metadata 'drive_shift'")
    if abs(shift) > DRIVE_SHIFT_LIMIT:
        allowed = f"-{DRIVE_SHIFT_LIMIT} to {DRIVE_SHIFT_LIMIT}"
        raise NirError(f"{node.name}: metadata 'drive_shift'", str(shift), allowed)
    exponent, bias = _restored_bias(node, metadata, shape)
    arrays = str(metadata.get("arrays", "")).split(",")
    thresholds = np.ldexp(np.asarray(node.threshold, np.float64), -shift)
    values: dict[str, Any] = {
        "threshold": _integers(thresholds, f"{node.name}: threshold"),
        "voltage_decay": np.asarray(node.voltage_decay, np.int64),
        "current_decay": np.asarray(node.current_decay, np.int64),
        "delay": np.asarray(node.delay, np.int64),
    }
    for name, value in values.items():
        if name in arrays:
            values[name] = np.broadcast_to(value, shape[:1]).copy()
        elif value.ndim and np.ptp(value):
            where = f"{node.name}: {name}"
            raise NirError(where, "values that the metadata deny", "one for all", _CHANGED)
        else:
            values[name] = int(value.flat[0])
    weight = node.weight_rec
    if weight is not None:
        weight = _integers(np.asarray(weight, np.float64), f"{node.name}: recurrent weights")
    return replace(
        node, bias=bias, bias_exponent=exponent, drive_shift=shift, weight_rec=weight, **values
    )


def _restored_bias(
    node: SpikingNeurons, metadata: Mapping[str, Any], shape: Shape
) -> tuple[int, NDArray[np.int64] | None]:
    exponent = _number(metadata.get("bias_exponent"), f"{node.name}: metadata 'bias_exponent'")
    if not 0 <= exponent <= BIAS_EXPONENT_HIGH:
        where = f"{node.name}: metadata 'bias_exponent'"
        raise NirError(where, str(exponent), f"0 to {BIAS_EXPONENT_HIGH}")
    values = np.zeros(shape[0]) if node.bias is None else np.asarray(node.bias, np.float64)
    bias = None
    if _number(metadata.get("has_bias"), f"{node.name}: metadata 'has_bias'"):
        bias = _integers(np.ldexp(values, BIAS_EXPONENT - exponent), f"{node.name}: bias")
    elif values.any():
        raise NirError(f"{node.name}: bias", "a bias that the metadata deny", "none", _CHANGED)
    return exponent, bias


def _exponent(node: Synapse, metadata: Mapping[str, Any]) -> int | NDArray[np.int64]:
    where = f"{node.name}: metadata 'exponent'"
    array = numbers(metadata.get("exponent"), where)
    exponents = _integers(array, where)
    if np.abs(exponents).max() > 64 or exponents.shape not in ((), (len(node.weight),)):
        raise NirError(where, f"shape {exponents.shape}", f"one integer, or {len(node.weight)}")
    return exponents if exponents.ndim else int(exponents)


def _integers(values: NDArray[np.float64], where: str) -> NDArray[np.int64]:
    integers = np.rint(values)
    if (
        np.abs(values).max() >= 2**53
        or (np.abs(values - integers) > _ROUNDING * np.maximum(np.abs(integers), 1)).any()
    ):
        raise NirError(
            where, "values that are not the integers of a network of sdt-lava", "integers", _CHANGED
        )
    return integers.astype(np.int64)


def _number(value: Any, where: str, *, real: bool = False) -> Any:
    array = numbers(value, where)
    if array.size != 1:
        raise NirError(where, f"{array.size} numbers", "one number")
    number = float(array.reshape(()))
    if real:
        return number
    if number != round(number) or abs(number) > 2**53:
        raise NirError(where, str(number), "an integer")
    return int(number)


_RESTORERS: Mapping[type[Node], Callable[[Any, Mapping[str, Any], Shape], Node]] = {
    Conv: _restored_synapse,
    Dense: _restored_synapse,
    Readout: _restored_readout,
    Lif: _restored_lif,
    CubaLif: _restored_cuba,
}
