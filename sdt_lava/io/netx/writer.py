"""Write an integer graph to a network file atomically."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np

from sdt_lava._version import __version__
from sdt_lava.errors import GraphError, NetworkFileError, QuantizationError, SdtLavaError
from sdt_lava.io.files import replacing
from sdt_lava.io.limits import limits
from sdt_lava.io.limits import remedy as raising
from sdt_lava.io.netx import extended, stock_writer
from sdt_lava.io.netx.layers import write_text
from sdt_lava.io.netx.rules import InvalidValue, check_nodes, check_sizes, layer_of
from sdt_lava.io.netx.schema import FORMAT, HDF5_VERSIONS, VERSION
from sdt_lava.io.netx.stock_rules import NotSequentialError, find_chain
from sdt_lava.ir import Graph

logger = logging.getLogger(__name__)


def save_network(graph: Graph, path: str | os.PathLike[str], compress: bool = True) -> None:
    """Write an integer graph to an HDF5 network file.

    A strictly sequential network is written in lava-dl's own netx layout, so that stock netx can
    run it with the same spikes. Any other network is written in the extended layout, for which
    stock netx raises an error. The file appears under its name only once it is complete.

    Parameters
    ----------
    graph : Graph
        Quantized integer graph without compiled node kinds. Its metadata must be plain values
        (dict, list, str, int, float, bool, None); tuples are read back as lists.
    path : path-like
        File to create or replace.
    compress : bool
        Compress weights and biases (gzip after byte shuffling).

    Raises
    ------
    GraphError
        If the graph has compiled nodes or is invalid, or its metadata cannot be stored.
    QuantizationError
        If a weight, bias, threshold or other value does not fit its integer range.
    NetworkFileError
        If the file cannot be written; an existing file is then left unchanged.
    """
    _check(graph)
    metadata = _encode_metadata(graph)
    with replacing(path, NetworkFileError) as temporary:
        # Build the file in memory first: on a full disk, HDF5 also fails in destructors, for which
        # Python prints tracebacks.
        content = io.BytesIO()
        with h5py.File(content, "w", libver=HDF5_VERSIONS) as file:
            _write(file, graph, metadata, compress)
        temporary.write_bytes(content.getvalue())


def _write(file: h5py.File, graph: Graph, metadata: bytes, compress: bool) -> None:
    write_text(file, "format", FORMAT.encode())
    file.attrs["version"] = np.int64(VERSION)
    write_text(file, "generator", f"sdt-lava {__version__}".encode())
    file.attrs["timesteps"] = np.int64(graph.timesteps)
    write_text(file, "metadata", metadata)
    layers = file.create_group("layer")
    try:
        chain = find_chain(graph)
    except NotSequentialError as reason:
        logger.info("extended layout, stock netx cannot run it: %s", reason)
        extended.write_layers(layers, graph, compress=compress)
    else:
        stock_writer.write_layers(layers, graph, chain, compress=compress)


def _check(graph: Graph) -> None:
    with _violations_as(GraphError):
        for node in graph.nodes.values():
            layer_of(node)
    with _violations_as(QuantizationError):
        check_nodes(graph.nodes.values())
    graph.check()
    with _violations_as(GraphError):
        check_sizes(graph)


@contextmanager
def _violations_as(error: type[SdtLavaError]) -> Iterator[None]:
    try:
        yield
    except InvalidValue as found:
        raise error(found.where, found.found, found.allowed, found.remedy) from None


def _encode_metadata(graph: Graph) -> bytes:
    where, allowed = "metadata of the graph", "dict, list, str, int, finite float, bool, None"
    try:
        _check_keys(graph.metadata)
        text = json.dumps(dict(graph.metadata), allow_nan=False, separators=(",", ":"))
        # JSON can escape a lone surrogate, but the reader refuses it.
        json.dumps(dict(graph.metadata), ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        remedy = "convert the values, or leave them out"
        raise GraphError(
            where, f"a value that JSON cannot hold: {error}", allowed, remedy
        ) from error
    limit = limits().metadata_bytes
    if len(text) > limit:
        problem = f"{len(text)} bytes of JSON"
        raise GraphError(where, problem, f"at most {limit}", raising("metadata_bytes"))
    return text.encode()


def _check_keys(value: Any) -> None:
    """Refuse keys that are not strings: JSON would silently convert them to strings."""
    if isinstance(value, (list, tuple)):
        for entry in value:
            _check_keys(entry)
    elif hasattr(value, "items"):
        for key, entry in value.items():
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is not a string")
            _check_keys(entry)
