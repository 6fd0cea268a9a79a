"""Read network files, which may come from anywhere."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from sdt_lava.errors import GraphError, NetworkFileError
from sdt_lava.graph import Graph, Node, Shape, SigmaDelta
from sdt_lava.limits import limits
from sdt_lava.netx import extended, stock_reader
from sdt_lava.netx.guard import SafeGroup, open_root, open_safely, opened_safely
from sdt_lava.netx.rules import Violation, check_nodes, check_sizes, checked_number
from sdt_lava.netx.schema import (
    FORMAT,
    LAYER_OF_TYPE,
    ROOT_ATTRIBUTES,
    TEXT_LIMIT,
    TIMESTEPS_LIMIT,
    VERSION,
    Scalar,
)
from sdt_lava.netx.stock_fields import read_number

_WHAT = "an HDF5 network file"
_EXPORT_AGAIN = "export the network again"


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
) -> Graph:
    """Read the integer graph of a network file.

    Files of sdt-lava and files that lava-dl's SLAYER exports are read; the latter if they are made
    of input, conv, pool, flatten, dense and recurrent layers with CUBA or sigma-delta neurons.

    Parameters
    ----------
    path : path-like
        HDF5 file.
    timesteps : int, optional
        Steps ``T`` of one sample, for SLAYER's files. By default it is the length of their
        ``simulation`` group, or 1 if they have none.
    input_shape : tuple of int, optional
        Shape of one input frame ``(C, H, W)`` or ``(features,)``, for SLAYER files without input
        layer.
    lead_in : bool
        Sigma-delta neurons of SLAYER's files have run for some steps when a sample reaches them,
        as in stock netx, and have sent their biases. Otherwise it finds them at rest, as in SLAYER.

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
    with open_safely(path, _WHAT) as root:
        return _read(root, timesteps, input_shape, lead_in)


def load_with_content(
    path: str | os.PathLike[str],
    timesteps: int | None = None,
    input_shape: Shape | None = None,
    lead_in: bool = True,
) -> tuple[Graph, bytes]:
    """Read a network file as `load_network` does, and return the bytes that were read, too.

    Raises
    ------
    NetworkFileError
        As `load_network`, and if the file changes while it is read.
    """
    where = os.fsdecode(path)
    with opened_safely(path, _WHAT) as file:
        before = os.fstat(file.fileno())
        with open_root(file, where, _WHAT) as root:
            graph = _read(root, timesteps, input_shape, lead_in)
        file.seek(0)
        content = file.read()
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        found = "it changed while it was read"
        raise NetworkFileError(where, found, "a file that nobody writes", "try again")
    return graph, content


def _read(
    root: SafeGroup, timesteps: int | None, input_shape: Shape | None, lead_in: bool
) -> Graph:
    header = _read_header(root)
    # Some scripts around SLAYER add a group with the time step and length of their simulation.
    root.expect({"layer"}, {"simulation"} if header is None else ())
    layers = _layers(root.subgroup("layer"))
    types = [layer.text("type") for layer in layers]
    shapes: dict[str, Shape] = {}
    if header is None:
        nodes, shapes = stock_reader.read_foreign_nodes(layers, types, input_shape)
        nodes = nodes if lead_in else list(map(_at_rest, nodes))
        header = _Header(_sample_length(root) if timesteps is None else timesteps, {})
    elif input_shape is not None or timesteps not in (None, header.timesteps):
        raise NetworkFileError(
            root.where,
            f"time steps ({header.timesteps}) and input shape of its own",
            "timesteps and input_shape only for files that lack them",
        )
    elif types[0] in LAYER_OF_TYPE:
        nodes = extended.read_nodes(layers, types)
    else:
        nodes, shapes = stock_reader.read_own_nodes(layers, types)
    graph = _build(root.where, nodes, header)
    _check_declared(root.where, graph, shapes)
    return graph


def _at_rest(node: Node) -> Node:
    return replace(node, lead=0) if isinstance(node, SigmaDelta) else node


def _sample_length(root: SafeGroup) -> int:
    """Return the time steps of a sample in a file that is not ours, 1 if it does not say."""
    if "simulation" not in root.names():
        return 1
    simulation = root.subgroup("simulation")
    if "tSample" not in simulation.names():
        return 1
    length = read_number(simulation, "tSample", own=False)
    step = read_number(simulation, "Ts", own=False) if "Ts" in simulation.names() else 1
    if step < 1 or length % step:
        found = f"{length} units of time in steps of {step}"
        raise NetworkFileError(simulation.where, found, "a whole number of steps")
    return length // step


def _build(where: str, nodes: list[Node], header: _Header) -> Graph:
    try:
        check_nodes(nodes)
        checked_number(Scalar("timesteps", 1, TIMESTEPS_LIMIT), header.timesteps, "argument")
        graph = Graph.build(nodes, header.timesteps, header.metadata)
        check_sizes(graph)
    except (GraphError, Violation) as error:
        raise NetworkFileError(
            f"{where}: {error.where}", error.found, error.allowed, error.remedy
        ) from error
    return graph


def _check_declared(where: str, graph: Graph, shapes: dict[str, Shape]) -> None:
    """Compare the output shapes that stock layers declare with those that follow from weights."""
    for name, declared in shapes.items():
        follows = graph.shapes[name]
        if tuple(side for side in declared if side != 1) != tuple(s for s in follows if s != 1):
            raise NetworkFileError(f"{where}: shape of {name!r}", f"{declared}", f"{follows}")


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
        if "type" not in layer.names():
            raise NetworkFileError(layer.where, "no member 'type'", "a layer with its type")
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


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a finite number")


def _read_metadata(root: SafeGroup) -> dict[str, Any]:
    where = f"{root.where}: attribute 'metadata'"
    text = root.text_attribute("metadata", limits().metadata_bytes)
    try:
        metadata = json.loads(text, parse_constant=_refuse_constant)
        # JSON may escape half of a surrogate pair, which no file and no terminal can show.
        json.dumps(metadata, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        found = f"not JSON: {str(error)[:200]}"
        raise NetworkFileError(where, found, "a JSON object", _EXPORT_AGAIN) from error
    if not isinstance(metadata, dict):
        raise NetworkFileError(where, f"JSON {type(metadata).__name__}", "a JSON object")
    return metadata
