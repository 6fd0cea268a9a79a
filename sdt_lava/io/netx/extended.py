"""Read and write the extended layout: one layer per node, with references to its inputs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import h5py
import numpy as np

from sdt_lava.errors import NetworkFileError
from sdt_lava.io.netx.guard import SafeGroup
from sdt_lava.io.netx.layers import write_array, write_node_texts, write_type
from sdt_lava.io.netx.rules import checked_scalar
from sdt_lava.io.netx.schema import (
    INPUTS_LIMIT,
    LAYER_OF_NODE,
    LAYER_OF_TYPE,
    NODE_TEXTS,
    STOCK_TYPES,
    TEXT_LIMIT,
    Array,
    Layer,
    PerChannel,
    Scalar,
)
from sdt_lava.ir import Graph, Node


def write_layers(layers: h5py.Group, graph: Graph, *, compress: bool) -> None:
    """Write every node as a layer, after the layers that it reads."""
    index_of = {name: index for index, name in enumerate(graph.order)}
    for node in graph:
        layer = LAYER_OF_NODE[type(node)]
        group = layers.create_group(str(index_of[node.name]))
        write_type(group, layer.type)
        write_node_texts(group, node)
        if node.inputs:
            group.attrs["inputs"] = np.array([index_of[name] for name in node.inputs], np.int64)
        fields: list[Scalar | Array] = [*layer.scalars, *layer.arrays]
        fields += [field.form(getattr(node, field.name)) for field in layer.per_channel]
        for field in fields:
            _write_field(group, field, getattr(node, field.name), node.name, compress=compress)


def _write_field(
    group: h5py.Group, field: Scalar | Array, value: Any, where: str, *, compress: bool
) -> None:
    if isinstance(field, Scalar):
        _write_scalar(group, field, value, where)
    elif value is not None:
        write_array(group, field.name, value, field.dtype, compress=compress)


def write_scalars(group: h5py.Group, scalars: Iterable[Scalar], node: Node) -> None:
    """Write scalar fields of a node as attributes."""
    for scalar in scalars:
        _write_scalar(group, scalar, getattr(node, scalar.name), node.name)


def _write_scalar(group: h5py.Group, scalar: Scalar, value: Any, where: str) -> None:
    number = checked_scalar(scalar, value, where)
    if scalar.default is None or number != scalar.default:
        group.attrs[scalar.name] = np.array(number, np.float64 if scalar.real else np.int64)


def read_nodes(layers: list[SafeGroup], types: list[str]) -> list[Node]:
    """Build the nodes of a file; the ranges of scalars are checked later, on the whole graph."""
    nodes: list[Node] = []
    for group, layer_type in zip(layers, types, strict=True):
        if layer_type not in LAYER_OF_TYPE:
            stock = " (a stock type, in an extended file)" if layer_type in STOCK_TYPES else ""
            problem = f"layer type {layer_type!r}{stock}"
            raise NetworkFileError(f"{group.where}/type", problem, ", ".join(sorted(LAYER_OF_TYPE)))
        nodes.append(_read_node(group, LAYER_OF_TYPE[layer_type], nodes))
    return nodes


def _read_node(group: SafeGroup, layer: Layer, earlier: list[Node]) -> Node:
    required = {array.name for array in layer.arrays if not array.optional}
    optional = {array.name for array in layer.arrays if array.optional}
    per_channel = {field.name for field in layer.per_channel}
    group.expect({"type"} | required, optional | per_channel)
    required_attributes, optional_attributes = split_defaults(layer.scalars)
    group.expect_attributes(
        {"name"} | required_attributes,
        {"block", "origin", "inputs"} | optional_attributes | per_channel,
    )
    fields: dict[str, Any] = {"inputs": _read_inputs(group, earlier), **read_texts(group)}
    fields.update(read_scalars(group, layer.scalars))
    names = group.names()
    for array in layer.arrays:
        if array.name in names:
            fields[array.name] = read_array(group, array)
    for field in layer.per_channel:
        fields[field.name] = _read_per_channel(group, field)
    return layer.node(**fields)


def _read_per_channel(group: SafeGroup, field: PerChannel) -> Any:
    forms = (field.name in group.attributes(), field.name in group.names())
    if forms.count(True) != 1:
        problem = "neither an attribute nor a dataset" if not any(forms) else "both"
        allowed = "an attribute for all channels, or a dataset with one value a channel"
        raise NetworkFileError(f"{group.where}: {field.name!r}", problem, allowed)
    return read_scalar(group, field.scalar) if forms[0] else read_array(group, field.array)


def read_texts(group: SafeGroup) -> dict[str, str]:
    """Read the name, block and origin of a node; empty texts are not in the file."""
    names = group.attributes()
    return {key: group.text_attribute(key, TEXT_LIMIT) for key in NODE_TEXTS if key in names}


def split_defaults(scalars: Iterable[Scalar]) -> tuple[set[str], set[str]]:
    """Return the names of the required and of the optional attributes."""
    all_scalars = list(scalars)
    required = {scalar.name for scalar in all_scalars if scalar.default is None}
    return required, {scalar.name for scalar in all_scalars} - required


def read_scalars(group: SafeGroup, scalars: Iterable[Scalar]) -> dict[str, Any]:
    """Read the scalar fields whose attributes exist."""
    names = group.attributes()
    return {scalar.name: read_scalar(group, scalar) for scalar in scalars if scalar.name in names}


def read_scalar(group: SafeGroup, scalar: Scalar) -> Any:
    """Read an attribute of one or more numbers as plain Python values."""
    value = group.attribute(scalar.name, "fiu" if scalar.real else "iu")
    if value.ndim != (scalar.count is not None):
        allowed = "one number" if scalar.count is None else f"{scalar.count[0]} or more numbers"
        where = f"{group.where}: attribute {scalar.name!r}"
        raise NetworkFileError(where, f"shape {value.shape}", allowed)
    if scalar.flag and value in (0, 1):
        return bool(value)
    return value.item() if scalar.count is None else tuple(value.tolist())


def read_array(group: SafeGroup, array: Array) -> np.ndarray:
    """Read an array of integers as int32, which leaves headroom for arithmetic with weights."""
    values = group.numbers(array.name)
    low, high = int(values.min()), int(values.max())
    if low < array.low or high > array.high:
        problem = f"values from {low} to {high}"
        raise NetworkFileError(group.at(array.name), problem, f"{array.low} to {array.high}")
    return values.astype(np.int32)


def _read_inputs(group: SafeGroup, earlier: list[Node]) -> tuple[str, ...]:
    if "inputs" not in group.attributes():
        return ()
    indices = np.atleast_1d(group.attribute("inputs", limit=INPUTS_LIMIT)).tolist()
    for index in indices:
        if not 0 <= index < len(earlier):
            raise NetworkFileError(
                f"{group.where}: attribute 'inputs'",
                f"layer {index}: this layer itself, a later one or none",
                f"earlier layers, 0 to {len(earlier) - 1}" if earlier else "none: it is the first",
            )
    return tuple(earlier[index].name for index in indices)
