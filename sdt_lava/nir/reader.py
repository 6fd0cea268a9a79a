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
from sdt_lava.graph import Graph
from sdt_lava.limits import limits
from sdt_lava.netx.guard import SafeGroup, open_safely
from sdt_lava.netx.schema import TEXT_LIMIT
from sdt_lava.nir.float_graph import SUPPORTED
from sdt_lava.nir.importer import NirOptions, NirReport, from_nir
from sdt_lava.nir.structure import check_kinds

# Members of each kind's group in the file, and those that may be missing.
_NEURON = ("r", "v_threshold")
_MEMBERS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Input": (("shape",), ()),
    "Output": (("shape",), ()),
    "Linear": (("weight",), ()),
    "Affine": (("weight", "bias"), ()),
    "Conv2d": (
        ("weight", "bias", "stride", "padding", "dilation", "groups"),
        ("input_shape",),
    ),
    "Flatten": ((), ("input_type", "start_dim", "end_dim")),
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
        If it has nodes of other kinds than `sdt_lava.nir.from_nir` takes; all are named.
    """
    with open_safely(path, "a NIR file") as root:
        root.expect({"node"}, {"version"})
        group = root.subgroup("node")
        group.expect({"type", "nodes", "edges"}, {"metadata"})
        if _text(group, "type") != "NIRGraph":
            raise NetworkFileError(group.at("type"), repr(_text(group, "type")), "'NIRGraph'")
        members = group.subgroup("nodes")
        groups = {name: members.subgroup(name) for name in members.layers()}
        kinds = {name: _text(node, "type") for name, node in groups.items()}
        check_kinds(kinds, SUPPORTED)
        nodes = {name: _read_node(groups[name], kind) for name, kind in kinds.items()}
        return nir.NIRGraph(
            nodes, _read_edges(group), metadata=_read_metadata(group), type_check=False
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


def _read_edges(group: SafeGroup) -> list[tuple[str, str]]:
    edges = group.strings("edges", TEXT_LIMIT)
    if edges.ndim != 2 or edges.shape[1] != 2:
        raise NetworkFileError(group.at("edges"), f"shape {edges.shape}", "pairs of names")
    return [(str(source), str(target)) for source, target in edges]


def _read_node(group: SafeGroup, kind: str) -> nir.NIRNode:
    required, optional = _MEMBERS[kind]
    group.expect({"type", *required}, {"metadata", *optional})
    values: dict[str, Any] = {"type": kind, "metadata": _read_metadata(group)}
    for name in group.names():
        if name not in ("type", "metadata", *_UNUSED):
            values[name] = _value(group, name, TEXT_LIMIT)
    try:
        return nir.dict2NIRNode({**_DEFAULTS.get(kind, {}), **values})
    # NIR's classes raise errors of many kinds, assertions among them, at wrong shapes.
    except Exception as error:
        reason = str(error)[:120] or type(error).__name__
        raise NirError(
            group.where, f"NIR cannot build a {kind}: {reason}", "a legal node"
        ) from error


# Shapes follow from the input; NIR's classes would compute them from strides of 0 as well.
_UNUSED = ("input_shape",)
# What NIR's own reader takes where a file says nothing.
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "Conv2d": {"input_shape": None},
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
