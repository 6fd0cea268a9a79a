"""Write graphs that lava-dl's netx runs exactly, in the stock layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from sdt_lava.io.netx.extended import write_scalars
from sdt_lava.io.netx.layers import write_array, write_node_texts, write_small, write_type
from sdt_lava.io.netx.schema import LAYER_OF_NODE
from sdt_lava.io.netx.stock_rules import Chain
from sdt_lava.ir import Conv, CubaLif, Dense, Flatten, Graph, Input, Node, SpikingNeurons


def write_layers(layers: h5py.Group, graph: Graph, chain: Chain, *, compress: bool) -> None:
    """Write a sequential graph as stock layers, with HDF5 attributes for fields netx lacks."""
    for index, (node, neuron) in enumerate(chain):
        group = layers.create_group(str(index))
        recurrent = neuron is not None and neuron.weight_rec is not None
        write_type(group, "dense_rec" if recurrent else node.kind)
        write_node_texts(group, node)
        _WRITERS[type(node)](group, node, graph, compress)
        if neuron is not None:
            if not isinstance(node, Input):
                write_small(group, "shape", np.array(graph.shapes[neuron.name], np.int64))
            _write_neuron(group, neuron, compress=compress)


def _write_input(group: h5py.Group, node: Input, graph: Graph, compress: bool) -> None:
    write_small(group, "shape", np.array(node.shape, np.int64))
    scalars = [scalar for scalar in LAYER_OF_NODE[Input].scalars if scalar.name != "shape"]
    write_scalars(group, scalars, node)
    readers = [graph.nodes[name] for name in graph.consumers[node.name]]
    if any(isinstance(reader, CubaLif) for reader in readers):
        write_small(group, "weight", np.int64(node.scale))
        write_small(group, "bias", np.int64(node.offset))


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


def _write_neuron(group: h5py.Group, neuron: SpikingNeurons, *, compress: bool) -> None:
    if neuron.bias is not None:
        write_array(group, "bias", neuron.bias, np.int32, compress=compress)
    if isinstance(neuron, CubaLif):
        if np.any(neuron.delay):
            _write_per_channel(group, "delay", neuron.delay, compress=compress)
        if neuron.weight_rec is not None:
            write_array(group, "weight_rec", neuron.weight_rec, np.int16, compress=compress)
    cuba = group.create_group("neuron")
    write_node_texts(cuba, neuron)
    write_type(cuba, "CUBA")
    _write_per_channel(cuba, "iDecay", neuron.current_decay, compress=compress)
    _write_per_channel(cuba, "vDecay", neuron.voltage_decay, compress=compress)
    _write_per_channel(cuba, "vThMant", neuron.threshold, compress=compress)
    write_small(cuba, "refDelay", np.int64(1))
    write_small(cuba, "gradedSpike", np.bool_(False))


def _write_per_channel(group: h5py.Group, name: str, values: Any, *, compress: bool) -> None:
    if np.ndim(values):
        write_array(group, name, values, np.int64, compress=compress)
    else:
        write_small(group, name, np.int64(values))


_WRITERS: dict[type[Node], Callable[[h5py.Group, Any, Graph, bool], None]] = {
    Input: _write_input,
    Flatten: _write_flatten,
    Conv: _write_conv,
    Dense: _write_dense,
}
