"""Read NIR files, which may come from anywhere.

NIR's own reader follows links to other files and believes every size. Here every member goes
through the checks of network files; NIR's classes are built from what has passed them.
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
from sdt_lava.ir import Graph
from sdt_lava.quantize.from_nir import NirOptions, NirReport, from_nir

# Members of each kind's group in the file, and those that may be missing.
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


def load_nir(
    path: str | os.PathLike[str], options: NirOptions | None = None
) -> tuple[Graph, NirReport]:
    """Read a NIR file as an integer graph.

    Parameters
    ----------
    path : path-like
        NIR file (HDF5).
    options : NirOptions, optional
        What the file does not say.

    Returns
    -------
    graph : Graph
        The integer graph.
    report : NirReport
        What was done.

    Raises
    ------
    NetworkFileError
        If there is no such file, or it is damaged or hostile.
    NirError, GraphError, QuantizationError
        As for `sdt_lava.nir.from_nir`.
    """
    return from_nir(read_nir(path), options)


def read_nir(path: str | os.PathLike[str]) -> nir.NIRGraph:
    """Read a NIR file with all checks, as a graph of NIR's classes.

    Raises
    ------
    NetworkFileError
        If there is no such file, or it is damaged or hostile.
    NirError
        If a node's members are not those of its kind. Nodes of unknown kinds are read as such.
    """
    with open_safely(path, "a NIR file") as root:
        root.expect({"node"}, {"version"})
        group = root.subgroup("node")
        if _text(group, "type") != "NIRGraph":
            raise NetworkFileError(group.at("type"), repr(_text(group, "type")), "'NIRGraph'")
        return _read_graph(group)


def _read_graph(group: SafeGroup) -> nir.NIRGraph:
    """Read a graph and those inside it, the inner ones first."""
    # Each graph's group, the place of the graph that it is in, and its name there.
    found: list[tuple[SafeGroup, int, str, int]] = [(group, -1, "", 0)]
    nodes: list[dict[str, Any]] = []
    place = 0
    while place < len(found):
        present, _, _, depth = found[place]
        present.expect({"type", "nodes", "edges"}, {"metadata", *_SHAPES})
        members = present.subgroup("nodes")
        nodes.append({})
        for name in members.layers():
            node = members.subgroup(name)
            kind = _text(node, "type")
            if kind != "NIRGraph":
                nodes[-1][name] = _read_node(node, kind)
            elif depth >= MOST_DEPTH:
                raise NirError(node.where, "graphs inside graphs", f"at most {MOST_DEPTH} deep")
            else:
                # Holds the place in the order of the nodes.
                nodes[-1][name] = None
                found.append((node, place, name, depth + 1))
        place += 1
    for place in reversed(range(1, len(found))):
        inner, outer, name, _ = found[place]
        nodes[outer][name] = _graph(inner, nodes[place])
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
    found = group.strings(name, limit)
    if found.size != 1:
        raise NetworkFileError(group.at(name), f"{found.size} strings", "one string")
    return str(found.reshape(-1)[0])


def _read_edges(group: SafeGroup, nodes: int) -> list[tuple[str, str]]:
    # Each name is read by itself, which takes its time.
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
            # NIR's own default.
            return nir.Flatten(shape, **{"start_dim": 1, **values}, metadata=metadata)
        node = nir.dict2NIRNode(
            {**_DEFAULTS.get(kind, {}), **values, "type": kind, "metadata": metadata}
        )
    # NIR's classes raise errors of many kinds, assertions among them, at wrong shapes.
    except Exception as error:
        reason = str(error)[:120] or type(error).__name__
        raise NirError(
            group.where, f"NIR cannot build a {kind}: {reason}", "a legal node"
        ) from error
    if kind in ("Conv1d", "Conv2d"):
        # Not for the class, which would compute shapes from strides of 0 as well.
        node.input_shape = _shape(group, "input_shape")
    return node


def _shape(group: SafeGroup, name: str) -> Any:
    """Return a shape that may be missing, or not be one: only a graph without others needs it."""
    if name not in group.names() or group.is_group(name) or group.is_text(name):
        return None
    values = group.numbers(name, "iuf")
    return values.reshape(-1) if values.size else None


# Edges for each node of a graph, which may join that many ways.
_MOST_EDGES = 64
# Members that any node may have: what it reads and emits follows from the Input.
_SHAPES = ("shape", "input_shape", "input_type", "output_type")
_SIDES = {"Input": "input", "Output": "output"}
# What NIR's own reader takes where a file says nothing.
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
    # Other programs may nest theirs: what is not a plain value says nothing to us.
    return {
        name: _value(metadata, name, limits().metadata_bytes)
        for name in metadata.names()
        if not metadata.is_group(name)
    }


def _value(group: SafeGroup, name: str, limit: int) -> Any:
    if group.is_text(name):
        return _one_text(group, name, limit)
    return group.numbers(name, "iufb")
