"""Read untrusted NIR files.

NIR's own reader follows links to other files and trusts every size. Here, every member passes the
checks of network files before NIR's classes are built from it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import nir
import numpy as np

from sdt_lava.errors import NetworkFileError, NirError
from sdt_lava.io.limits import limits
from sdt_lava.io.netx.guard import SafeGroup, open_safely
from sdt_lava.io.netx.schema import TEXT_LIMIT
from sdt_lava.io.nir.flat import MOST_DEPTH, UnknownNode

# Required and optional members of the group of each kind.
_NEURON = ("r", "v_threshold")
_CONVOLUTION = (("weight", "stride", "padding", "dilation", "groups"), ("bias",))
_POOL = (("kernel_size",), ("stride", "padding"))
_MEMBERS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Input": ((), ()),
    "Output": ((), ()),
    "Linear": (("weight",), ()),
    "Affine": (("weight", "bias"), ()),
    "Scale": (("scale",), ()),
    "Conv1d": _CONVOLUTION,
    "Conv2d": _CONVOLUTION,
    "SumPool2d": _POOL,
    "AvgPool2d": _POOL,
    "Flatten": ((), ("start_dim", "end_dim")),
    "Delay": (("delay",), ()),
    "Threshold": (("threshold",), ()),
    "I": (("r",), ()),
    "LI": (("tau", "r", "v_leak"), ()),
    "CubaLI": (("tau_mem", "tau_syn", "r", "v_leak"), ("w_in",)),
    "IF": (_NEURON, ("v_reset",)),
    "LIF": ((*_NEURON, "tau", "v_leak"), ("v_reset",)),
    "CubaLIF": ((*_NEURON, "tau_mem", "tau_syn", "v_leak"), ("v_reset", "w_in")),
}


def read_nir(path: str | os.PathLike[str]) -> nir.NIRGraph:
    """Read an untrusted NIR file as a graph of NIR's classes.

    Nodes of unknown kinds become `UnknownNode`.

    Raises
    ------
    NetworkFileError
        If the file does not exist, or is damaged or malicious.
    NirError
        If NIR cannot build a node from its members, or graphs are nested too deeply.
    """
    with open_safely(path, "a NIR file") as root:
        root.expect({"node"}, {"version"})
        group = root.subgroup("node")
        if _text(group, "type") != "NIRGraph":
            raise NetworkFileError(group.at("type"), repr(_text(group, "type")), "'NIRGraph'")
        return _read_graph(group)


def _read_graph(group: SafeGroup) -> nir.NIRGraph:
    """Read a graph and all graphs nested in it, building the inner ones first."""
    # For each graph: its group, the index of the graph that contains it, its name there, its depth.
    graphs: list[tuple[SafeGroup, int, str, int]] = [(group, -1, "", 0)]
    nodes: list[dict[str, Any]] = []
    index = 0
    while index < len(graphs):
        current, _, _, depth = graphs[index]
        current.expect({"type", "nodes", "edges"}, {"metadata", *_SHAPES})
        members = current.subgroup("nodes")
        nodes.append({})
        for name in members.layers():
            node = members.subgroup(name)
            kind = _text(node, "type")
            if kind != "NIRGraph":
                nodes[-1][name] = _read_node(node, kind)
            elif depth >= MOST_DEPTH:
                raise NirError(node.where, "graphs inside graphs", f"at most {MOST_DEPTH} deep")
            else:
                # Placeholder that keeps the order of the nodes.
                nodes[-1][name] = None
                graphs.append((node, index, name, depth + 1))
        index += 1
    for index in reversed(range(1, len(graphs))):
        inner, outer, name, _ = graphs[index]
        nodes[outer][name] = _graph(inner, nodes[index])
    return _graph(group, nodes[0])


def _graph(group: SafeGroup, nodes: dict[str, Any]) -> nir.NIRGraph:
    return nir.NIRGraph(
        nodes, _read_edges(group, len(nodes)), metadata=_read_metadata(group), type_check=False
    )


def _text(group: SafeGroup, name: str) -> str:
    if name not in group.names():
        raise NetworkFileError(group.where, f"no member {name!r}", "a node with its type")
    return _one_text(group, name, TEXT_LIMIT)


def _one_text(group: SafeGroup, name: str, limit: int) -> str:
    texts = group.strings(name, limit)
    if texts.size != 1:
        raise NetworkFileError(group.at(name), f"{texts.size} strings", "one string")
    return str(texts.reshape(-1)[0])


def _read_edges(group: SafeGroup, nodes: int) -> list[tuple[str, str]]:
    # The number is limited because names are read one by one, which is slow.
    edges = group.strings("edges", TEXT_LIMIT, 2 * _MOST_EDGES * max(nodes, 1))
    if edges.ndim != 2 or edges.shape[1] != 2:
        raise NetworkFileError(group.at("edges"), f"shape {edges.shape}", "pairs of names")
    return [(str(source), str(target)) for source, target in edges]


def _read_node(group: SafeGroup, kind: str) -> Any:
    if kind not in _MEMBERS:
        return UnknownNode(kind)
    required, optional = _MEMBERS[kind]
    group.expect({"type", *required}, {"metadata", *optional, *_SHAPES})
    values = {
        name: _value(group, name, TEXT_LIMIT)
        for name in group.names()
        if name in (*required, *optional)
    }
    metadata = _read_metadata(group)
    try:
        if kind in ("Input", "Output"):
            shape = {_SIDES[kind]: _shape(group, "shape")}
            return getattr(nir, kind)(shape, metadata=metadata)
        if kind == "Flatten":
            shape = {"input": _shape(group, "input_type")}
            # 1 is NIR's own default for start_dim.
            return nir.Flatten(shape, **{"start_dim": 1, **values}, metadata=metadata)
        node = nir.dict2NIRNode(
            {**_DEFAULTS.get(kind, {}), **values, "type": kind, "metadata": metadata}
        )
    # NIR's classes raise many types of errors for wrong shapes, even AssertionError.
    except Exception as error:
        reason = str(error)[:120] or type(error).__name__
        raise NirError(
            group.where, f"NIR cannot build a {kind}: {reason}", "a legal node"
        ) from error
    if kind in ("Conv1d", "Conv2d"):
        # Not passed to the class, which would compute shapes even from strides of 0.
        node.input_shape = _shape(group, "input_shape")
    return node


def _shape(group: SafeGroup, name: str) -> Any:
    """Return a shape, or None if it is missing or invalid; only graphs without others need it."""
    if name not in group.names() or group.is_group(name) or group.is_text(name):
        return None
    values = group.numbers(name, "iuf")
    return values.reshape(-1) if values.size else None


# Maximum average number of edges per node of a graph.
_MOST_EDGES = 64
# Members that any node may have; the actual shapes follow from the Input.
_SHAPES = ("shape", "input_shape", "input_type", "output_type")
_SIDES = {"Input": "input", "Output": "output"}
# Defaults of NIR's own reader for missing members.
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "Conv1d": {"input_shape": None, "bias": None},
    "Conv2d": {"input_shape": None, "bias": None},
    "SumPool2d": {"stride": None, "padding": None},
    "AvgPool2d": {"stride": None, "padding": None},
    "CubaLI": {"w_in": np.ones(())},
    "CubaLIF": {"w_in": np.ones(())},
}


def _read_metadata(group: SafeGroup) -> dict[str, Any]:
    if "metadata" not in group.names():
        return {}
    metadata = group.subgroup("metadata")
    # Other programs may nest their metadata; only plain values are read here.
    return {
        name: _value(metadata, name, limits().metadata_bytes)
        for name in metadata.names()
        if not metadata.is_group(name)
    }


def _value(group: SafeGroup, name: str, limit: int) -> Any:
    if group.is_text(name):
        return _one_text(group, name, limit)
    return group.numbers(name, "iufb")
