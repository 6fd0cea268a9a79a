"""The stock layout: which graphs lava-dl's netx runs exactly, and how they are written."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import h5py
import numpy as np

from sdt_lava.graph import Conv, Dense, Flatten, Graph, Input, Lif, Node
from sdt_lava.netx.layers import write_array, write_node_texts, write_small, write_type
from sdt_lava.netx.schema import STOCK_CONV_LIMIT
from sdt_lava.numerics import BIAS_EXPONENT

# One layer of the file: a node, and the neurons that belong to it.
Chain = list[tuple[Node, Lif | None]]


class NotSequentialError(Exception):
    """Why stock netx cannot run a graph, or would run it wrongly."""


def find_chain(graph: Graph) -> Chain:
    """Split a sequential graph into stock layers.

    Raises
    ------
    NotSequentialError
        If stock netx would refuse the network or give other spikes.
    """
    nodes = list(graph)
    for before, node in pairwise(nodes):
        if node.inputs != (before.name,):
            raise NotSequentialError(f"{node.name!r} does not read {before.name!r} alone")
    chain: Chain = []
    position = 0
    while position < len(nodes):
        node = nodes[position]
        follower = nodes[position + 1] if position + 1 < len(nodes) else None
        if type(node) not in _CHECKS:
            raise NotSequentialError(f"{node.name!r} is a {node.kind}")
        _CHECKS[type(node)](node, follower, graph)
        neuron = follower if isinstance(follower, Lif) else None
        chain.append((node, neuron))
        position += 1 if neuron is None else 2
    if chain[-1][1] is None:
        raise NotSequentialError("it does not end in neurons")
    return chain


def _check_input(node: Input, follower: Node | None, graph: Graph) -> None:
    if len(node.shape) not in (1, 3):
        raise NotSequentialError(f"input of shape {node.shape}")


def _check_flatten(node: Flatten, follower: Node | None, graph: Graph) -> None:
    if len(graph.shapes[node.inputs[0]]) != 3 or not isinstance(follower, Dense):
        raise NotSequentialError("netx flattens only images, and only before a dense layer")


def _check_neuron(node: Conv | Dense, follower: Node | None) -> None:
    if np.ndim(node.exponent) or node.exponent:
        raise NotSequentialError(f"{node.name!r} has a weight exponent, which netx lacks")
    if not isinstance(follower, Lif):
        raise NotSequentialError(f"{node.name!r} is not followed by neurons")
    if follower.bias_exponent != BIAS_EXPONENT:
        raise NotSequentialError(f"bias exponent {follower.bias_exponent} of {follower.name!r}")


def _check_conv(node: Conv, follower: Node | None, graph: Graph) -> None:
    _check_neuron(node, follower)
    window = (*node.stride, *node.padding, *node.dilation, *node.weight.shape[2:], node.groups)
    if max(window) > STOCK_CONV_LIMIT:
        raise NotSequentialError(f"{node.name!r}: Lava keeps {max(window)} in eight bits")


def _check_dense(node: Dense, follower: Node | None, graph: Graph) -> None:
    _check_neuron(node, follower)
    # netx scales a dense matrix up to full weight range. It divides by zero when all are zero,
    # and scales an inhibitory one to -256, which Lava then clips at -255.
    if int(node.weight.max()) <= 0:
        raise NotSequentialError(f"{node.name!r} has no positive weight")


_CHECKS: dict[type[Node], Callable[[Any, Node | None, Graph], None]] = {
    Input: _check_input,
    Flatten: _check_flatten,
    Conv: _check_conv,
    Dense: _check_dense,
}


def write_layers(layers: h5py.Group, graph: Graph, chain: Chain, *, compress: bool) -> None:
    """Write a sequential graph as stock layers; what stock netx lacks is in HDF5 attributes."""
    for index, (node, neuron) in enumerate(chain):
        group = layers.create_group(str(index))
        write_type(group, node.kind)
        write_node_texts(group, node)
        _WRITERS[type(node)](group, node, graph, compress)
        if neuron is not None:
            write_small(group, "shape", np.array(graph.shapes[neuron.name], np.int64))
            _write_neuron(group, neuron, compress=compress)


def _write_input(group: h5py.Group, node: Input, graph: Graph, compress: bool) -> None:
    write_small(group, "shape", np.array(node.shape, np.int64))
    group.attrs["scale"] = np.float64(node.scale)
    group.attrs["low"] = np.int64(node.low)
    group.attrs["high"] = np.int64(node.high)


def _write_flatten(group: h5py.Group, node: Flatten, graph: Graph, compress: bool) -> None:
    size = graph.shapes[node.name][0]
    write_small(group, "shape", np.array([size, 1, 1], np.int64))


def _write_conv(group: h5py.Group, node: Conv, graph: Graph, compress: bool) -> None:
    write_small(group, "inChannels", np.int64(node.weight.shape[1] * node.groups))
    write_small(group, "outChannels", np.int64(node.weight.shape[0]))
    write_small(group, "kernelSize", np.array(node.weight.shape[2:], np.int64))
    for key in ("stride", "padding", "dilation"):
        write_small(group, key, np.array(getattr(node, key), np.int64))
    write_small(group, "groups", np.int64(node.groups))
    write_array(group, "weight", node.weight, np.int16, compress=compress)


def _write_dense(group: h5py.Group, node: Dense, graph: Graph, compress: bool) -> None:
    write_small(group, "inFeatures", np.int64(node.weight.shape[1]))
    write_small(group, "outFeatures", np.int64(node.weight.shape[0]))
    write_array(group, "weight", node.weight, np.int16, compress=compress)


def _write_neuron(group: h5py.Group, neuron: Lif, *, compress: bool) -> None:
    if neuron.bias is not None:
        write_array(group, "bias", neuron.bias, np.int32, compress=compress)
    cuba = group.create_group("neuron")
    write_node_texts(cuba, neuron)
    write_type(cuba, "CUBA")
    write_small(cuba, "iDecay", np.int64(neuron.current_decay))
    write_small(cuba, "vDecay", np.int64(neuron.voltage_decay))
    write_small(cuba, "vThMant", np.int64(neuron.threshold))
    write_small(cuba, "refDelay", np.int64(1))
    write_small(cuba, "gradedSpike", np.bool_(False))


_WRITERS: dict[type[Node], Callable[[h5py.Group, Any, Graph, bool], None]] = {
    Input: _write_input,
    Flatten: _write_flatten,
    Conv: _write_conv,
    Dense: _write_dense,
}
