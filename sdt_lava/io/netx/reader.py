"""Read untrusted network files."""

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
from sdt_lava.io.netx.rules import InvalidValue, check_nodes, check_sizes, checked_number
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

    The file may be written by sdt-lava or exported by lava-dl's SLAYER. A SLAYER export may
    consist of input, conv, pool, flatten, dense, recurrent and average layers with CUBA or
    sigma-delta neurons. Unused members of an export never raise an error: if one contradicts a
    member that is used, a note in ``metadata["notes"]`` of the graph states which one was used.

    Parameters
    ----------
    path : path-like
        HDF5 file.
    timesteps : int, optional
        Steps ``T`` of one sample, for a SLAYER export. The default is the length in its
        ``simulation`` group, or 1 if it has none.
    input_shape : tuple of int, optional
        Shape of one input frame ``(C, H, W)`` or ``(features,)``, for a SLAYER export that does
        not define it: one without an input layer that starts with a convolution.
    lead_in : bool
        If True, sigma-delta neurons of a SLAYER export have already run for some steps when a
        sample reaches them, as in stock netx, and have sent their biases. If False, they start at
        rest, as in SLAYER.
    num_layers : int, optional
        Read only the first layers, as stock netx does; this number includes skipped layers.
    skip_layers : int
        Skip this many layers at the start, as stock netx does: the input of the network is the
        output of the last skipped layer. A negative number skips none.

    Returns
    -------
    Graph
        The checked network; weights are int32, biases int32. In a SLAYER export, layer i becomes
        the nodes ``layer.<i>.synapse`` and ``layer.<i>`` (the neurons). The input accepts any
        payloads, not only 0 and 1; the image of an input layer with neurons becomes their bias.

    Raises
    ------
    NetworkFileError
        If the file does not exist, or is damaged, unsupported or malicious.
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
    """Read a network file like `load_network`, and also return the bytes of the file.

    Raises
    ------
    NetworkFileError
        As in `load_network`, and if the file changes while it is read.
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
        problem = "it changed while it was read"
        raise NetworkFileError(where, problem, "a file that no program is writing", "try again")
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
    stock_nodes = stock_reader.read_own_nodes(choice, notes)
    graph = _build(root.where, stock_nodes.nodes, header)
    _check_declared(root.where, graph, stock_nodes.declared, notes)
    return graph


def _read_foreign(root: SafeGroup, request: _Request, notes: Notes) -> Graph:
    names = root.names()
    if "node" in names and "layer" not in names:
        raise NetworkFileError(root.where, NIR.what, "a network file", NIR.remedy(root.where))
    root.expect({"layer"}, names)
    # Some SLAYER scripts add a group with the time step and length of their simulation.
    notes.unused(root.where, names, {"layer", "simulation"})
    layers = _layers(root.subgroup("layer"))
    choice = choose_layers(root.where, layers, request.num_layers, request.skip_layers)
    stock_nodes = stock_reader.read_foreign_nodes(choice, request.input_shape, notes)
    nodes = stock_nodes.nodes if request.lead_in else list(map(_at_rest, stock_nodes.nodes))
    steps = sample_length(root) if request.timesteps is None else request.timesteps
    remedy = "" if request.input_shape is None else _OTHER_SHAPE
    graph = _build(root.where, nodes, _Header(steps, {}), remedy)
    _check_declared(root.where, graph, stock_nodes.declared, notes)
    return graph.with_metadata(notes=notes.lines) if notes.lines else graph


def _at_rest(node: Node) -> Node:
    return replace(node, lead=0) if isinstance(node, SigmaDelta) else node


def _build(where: str, nodes: list[Node], header: _Header, remedy: str = "") -> Graph:
    advice = ""
    try:
        check_nodes(nodes)
        checked_number(Scalar("timesteps", 1, TIMESTEPS_LIMIT), header.timesteps, "argument")
        # The checks above do not depend on the input shape.
        advice = remedy
        graph = Graph.build(nodes, header.timesteps, header.metadata)
        check_sizes(graph)
    except (GraphError, InvalidValue) as error:
        raise NetworkFileError(
            f"{where}: {error.where}", error.found, error.allowed, error.remedy or advice
        ) from error
    return graph


def _check_declared(where: str, graph: Graph, declared: dict[str, Shape], notes: Notes) -> None:
    """Compare the declared output shapes of stock layers with those computed from the weights."""
    for name, shape in declared.items():
        declared_sides, computed_sides = (
            tuple(side for side in s if side != 1) for s in (shape, graph.shapes[name])
        )
        if declared_sides == computed_sides:
            continue
        if sorted(declared_sides) == sorted(computed_sides):
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
    expected_names = [str(index) for index in range(len(names))]
    if not names or set(names) != set(expected_names):
        missing = sorted(set(expected_names) - set(names), key=int)
        problem = f"no layer {missing[0]}" if missing else "no layers"
        raise NetworkFileError(group.where, problem, "layers 0, 1, 2, ... without gaps")
    layers = [group.subgroup(index) for index in expected_names]
    addresses: set[int] = set()
    for layer in layers:
        # A hard link takes a few bytes in the file but as much time to read as a layer.
        if layer.address in addresses:
            problem = "the same group as an earlier layer"
            raise NetworkFileError(layer.where, problem, "a group for each layer")
        addresses.add(layer.address)
    return layers


def _read_header(root: SafeGroup) -> _Header | None:
    """Return time steps and metadata, or None if sdt-lava did not write the file."""
    names = root.attributes()
    if "format" not in names:
        return None
    format_name = root.text_attribute("format", TEXT_LIMIT)
    if format_name != FORMAT:
        raise NetworkFileError(f"{root.where}: attribute 'format'", repr(format_name), repr(FORMAT))
    if "version" in names:
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
        problem = f"version {version}, newer than this program"
        raise NetworkFileError(where, problem, f"{VERSION}", "update sdt-lava")
    raise NetworkFileError(where, f"version {version}", f"{VERSION}", _EXPORT_AGAIN)


def _read_metadata(root: SafeGroup) -> dict[str, Any]:
    where = f"{root.where}: attribute 'metadata'"
    text = root.text_attribute("metadata", limits().metadata_bytes)
    try:
        metadata = parse_json(text)
        # JSON may escape a lone surrogate, which cannot be written to a file or a terminal.
        json.dumps(metadata, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        problem = f"not JSON: {str(error)[:200]}"
        raise NetworkFileError(where, problem, "a JSON object", _EXPORT_AGAIN) from error
    if not isinstance(metadata, dict):
        raise NetworkFileError(where, f"JSON {type(metadata).__name__}", "a JSON object")
    return metadata
