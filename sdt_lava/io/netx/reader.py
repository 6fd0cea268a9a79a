"""Read network files, which may come from anywhere."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from typing import Any

from sdt_lava.errors import GraphError, NetworkFileError
from sdt_lava.io.file_kinds import NIR
from sdt_lava.io.json_text import parse_json
from sdt_lava.io.limits import limits
from sdt_lava.io.netx import extended, stock_reader
from sdt_lava.io.netx.guard import SafeGroup, open_root, open_safely, opened_safely
from sdt_lava.io.netx.notes import Notes
from sdt_lava.io.netx.rules import Violation, check_nodes, check_sizes, checked_number
from sdt_lava.io.netx.schema import (
    FORMAT,
    LAYER_OF_TYPE,
    ROOT_ATTRIBUTES,
    TEXT_LIMIT,
    TIMESTEPS_LIMIT,
    VERSION,
    Scalar,
)
from sdt_lava.io.netx.stock_entry import choose_layers
from sdt_lava.io.netx.stock_steps import sample_length
from sdt_lava.ir import Graph, Node, Shape, SigmaDelta

_WHAT = "an HDF5 network file"
_OTHER_SHAPE = (
    "give the input_shape (commands: --input-shape) with which the network was trained, or none if "
    "the file says it"
)
_EXPORT_AGAIN = "export the network again"


@dataclass(frozen=True)
class _Request:
    """The arguments of `load_network`."""

    timesteps: int | None
    input_shape: Shape | None
    lead_in: bool
    num_layers: int | None
    skip_layers: int


@dataclass(frozen=True)
class _Header:
    timesteps: int
    metadata: dict[str, Any]


def load_network(
    path: str | os.PathLike[str],
    timesteps: int | None = None,
    input_shape: Shape | None = None,
    *,
    lead_in: bool = True,
    num_layers: int | None = None,
    skip_layers: int = 0,
) -> Graph:
    """Read the integer graph of a network file.

    Files of sdt-lava and files that lava-dl's SLAYER exports are read; the latter if they are made
    of input, conv, pool, flatten, dense, recurrent and average layers with CUBA or sigma-delta
    neurons. A member of these that nobody reads refuses nothing: where it contradicts one that is
    read, ``metadata["notes"]`` of the graph says which one was used.

    Parameters
    ----------
    path : path-like
        HDF5 file.
    timesteps : int, optional
        Steps ``T`` of one sample, for SLAYER's files. By default it is the length of their
        ``simulation`` group, or 1 if they have none.
    input_shape : tuple of int, optional
        Shape of one input frame ``(C, H, W)`` or ``(features,)``, for SLAYER files that do not say
        it: without input layer, and with a convolution at the start.
    lead_in : bool
        Sigma-delta neurons of SLAYER's files have run for some steps when a sample reaches them,
        as in stock netx, and have sent their biases. Otherwise it finds them at rest, as in SLAYER.
    num_layers : int, optional
        Read the first layers alone, as stock netx does; those skipped count, too.
    skip_layers : int
        Leave that many of them out at the start, as stock netx does: the input is what the last of
        these sends. A negative number skips none.

    Returns
    -------
    Graph
        The checked network; weights are int32, biases int32. In a SLAYER file, layer i becomes
        the nodes ``layer.<i>.synapse`` and ``layer.<i>`` (the neurons). The input takes the
        payloads that it is given, 0 and 1 or others; the image of an input layer with neurons
        becomes their bias.

    Raises
    ------
    NetworkFileError
        If there is no such file, or it is damaged, unsupported or hostile.
    """
    request = _Request(timesteps, input_shape, lead_in, num_layers, skip_layers)
    with open_safely(path, _WHAT) as root:
        return _read(root, request)


def load_with_content(
    path: str | os.PathLike[str],
    timesteps: int | None = None,
    input_shape: Shape | None = None,
    num_layers: int | None = None,
    skip_layers: int = 0,
) -> tuple[Graph, bytes]:
    """Read a network file as `load_network` does, and return the bytes that were read, too.

    Raises
    ------
    NetworkFileError
        As `load_network`, and if the file changes while it is read.
    """
    where = os.fsdecode(path)
    request = _Request(timesteps, input_shape, True, num_layers, skip_layers)
    with opened_safely(path, _WHAT) as file:
        before = os.fstat(file.fileno())
        with open_root(file, where, _WHAT) as root:
            graph = _read(root, request)
        file.seek(0)
        content = file.read()
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        found = "it changed while it was read"
        raise NetworkFileError(where, found, "a file that nobody writes", "try again")
    return graph, content


def _read(root: SafeGroup, request: _Request) -> Graph:
    header = _read_header(root)
    notes = Notes(root.where)
    if header is None:
        return _read_foreign(root, request, notes)
    root.expect({"layer"})
    layers = _layers(root.subgroup("layer"))
    if request.input_shape is not None or request.timesteps not in (None, header.timesteps):
        raise NetworkFileError(
            root.where,
            f"time steps ({header.timesteps}) and input shape of its own",
            "timesteps and input_shape only for files that lack them",
        )
    choice = choose_layers(root.where, layers, request.num_layers, request.skip_layers)
    if choice.types[0] in LAYER_OF_TYPE:
        if len(choice.layers) < len(layers):
            raise NetworkFileError(
                root.where,
                "nodes that read any earlier ones (the extended layout)",
                "num_layers and skip_layers only for layers that read one another in turn",
                "leave num_layers and skip_layers (commands: --num-layers, --skip-layers) out",
            )
        nodes = extended.read_nodes(list(choice.layers), list(choice.types))
        return _build(root.where, nodes, header)
    read = stock_reader.read_own_nodes(choice, notes)
    graph = _build(root.where, read.nodes, header)
    _check_declared(root.where, graph, read.declared, notes)
    return graph


def _read_foreign(root: SafeGroup, request: _Request, notes: Notes) -> Graph:
    present = root.names()
    if "node" in present and "layer" not in present:
        raise NetworkFileError(root.where, NIR.what, "a network file", NIR.remedy(root.where))
    root.expect({"layer"}, present)
    # Some scripts around SLAYER add a group with the time step and length of their simulation.
    notes.unused(root.where, present, {"layer", "simulation"})
    layers = _layers(root.subgroup("layer"))
    choice = choose_layers(root.where, layers, request.num_layers, request.skip_layers)
    read = stock_reader.read_foreign_nodes(choice, request.input_shape, notes)
    nodes = read.nodes if request.lead_in else list(map(_at_rest, read.nodes))
    steps = sample_length(root) if request.timesteps is None else request.timesteps
    remedy = "" if request.input_shape is None else _OTHER_SHAPE
    graph = _build(root.where, nodes, _Header(steps, {}), remedy)
    _check_declared(root.where, graph, read.declared, notes)
    return graph.with_metadata(notes=notes.lines) if notes.lines else graph


def _at_rest(node: Node) -> Node:
    return replace(node, lead=0) if isinstance(node, SigmaDelta) else node


def _build(where: str, nodes: list[Node], header: _Header, remedy: str = "") -> Graph:
    advice = ""
    try:
        check_nodes(nodes)
        checked_number(Scalar("timesteps", 1, TIMESTEPS_LIMIT), header.timesteps, "argument")
        # Up to here nothing depends on the shape of the input.
        advice = remedy
        graph = Graph.build(nodes, header.timesteps, header.metadata)
        check_sizes(graph)
    except (GraphError, Violation) as error:
        raise NetworkFileError(
            f"{where}: {error.where}", error.found, error.allowed, error.remedy or advice
        ) from error
    return graph


def _check_declared(where: str, graph: Graph, declared: dict[str, Shape], notes: Notes) -> None:
    """Compare the output shapes that stock layers declare with those that follow from weights."""
    for name, shape in declared.items():
        said, follows = (
            tuple(side for side in s if side != 1) for s in (shape, graph.shapes[name])
        )
        if said == follows:
            continue
        if sorted(said) == sorted(follows):
            text = f"shape says {shape}, {graph.shapes[name]} follows from weights and input"
            notes.add(where, f"{name}: {text} and is used")
            continue
        raise NetworkFileError(
            f"{where}: shape of {name!r}",
            f"{shape}",
            f"{graph.shapes[name]}, which follows from its weights and an input of shape "
            f"{graph.input_shape}",
            _OTHER_SHAPE,
        )


def _layers(group: SafeGroup) -> list[SafeGroup]:
    names = group.layers()
    expected = [str(index) for index in range(len(names))]
    if not names or set(names) != set(expected):
        missing = sorted(set(expected) - set(names), key=int)
        found = f"no layer {missing[0]}" if missing else "no layers"
        raise NetworkFileError(group.where, found, "layers 0, 1, 2, ... without gaps")
    layers = [group.subgroup(index) for index in expected]
    seen: set[int] = set()
    for layer in layers:
        # A hard link takes a few bytes and a layer's time.
        if layer.address in seen:
            found = "the same group as an earlier layer"
            raise NetworkFileError(layer.where, found, "a group for each layer")
        seen.add(layer.address)
    return layers


def _read_header(root: SafeGroup) -> _Header | None:
    """Return time steps and metadata, or None for a file that is not sdt-lava's."""
    present = root.attributes()
    if "format" not in present:
        return None
    found = root.text_attribute("format", TEXT_LIMIT)
    if found != FORMAT:
        raise NetworkFileError(f"{root.where}: attribute 'format'", repr(found), repr(FORMAT))
    if "version" in present:
        _check_version(root)
    root.expect_attributes(ROOT_ATTRIBUTES)
    root.text_attribute("generator", TEXT_LIMIT)
    timesteps = _number(root, "timesteps")
    if not 1 <= timesteps <= TIMESTEPS_LIMIT:
        where = f"{root.where}: attribute 'timesteps'"
        raise NetworkFileError(where, str(timesteps), f"1 to {TIMESTEPS_LIMIT}")
    return _Header(timesteps, _read_metadata(root))


def _number(root: SafeGroup, name: str) -> int:
    value = root.attribute(name)
    if value.ndim:
        where = f"{root.where}: attribute {name!r}"
        raise NetworkFileError(where, f"shape {value.shape}", "one integer")
    return int(value)


def _check_version(root: SafeGroup) -> None:
    version = _number(root, "version")
    if version == VERSION:
        return
    where = f"{root.where}: attribute 'version'"
    if version > VERSION:
        found = f"version {version}, newer than this program"
        raise NetworkFileError(where, found, f"{VERSION}", "update sdt-lava")
    raise NetworkFileError(where, f"version {version}", f"{VERSION}", _EXPORT_AGAIN)


def _read_metadata(root: SafeGroup) -> dict[str, Any]:
    where = f"{root.where}: attribute 'metadata'"
    text = root.text_attribute("metadata", limits().metadata_bytes)
    try:
        metadata = parse_json(text)
        # JSON may escape half of a surrogate pair, which no file and no terminal can show.
        json.dumps(metadata, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        found = f"not JSON: {str(error)[:200]}"
        raise NetworkFileError(where, found, "a JSON object", _EXPORT_AGAIN) from error
    if not isinstance(metadata, dict):
        raise NetworkFileError(where, f"JSON {type(metadata).__name__}", "a JSON object")
    return metadata
