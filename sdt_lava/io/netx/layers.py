"""Write the parts of a layer that both layouts share."""

from __future__ import annotations

import h5py
import numpy as np

from sdt_lava.io.netx.schema import CHUNK_BYTES, COMPRESS_FROM, NODE_TEXTS, TYPE_DTYPE
from sdt_lava.ir import Node


def write_text(group: h5py.Group, name: str, text: bytes) -> None:
    """Write a fixed-length UTF-8 attribute, which HDF5's checksums cover; skip an empty text."""
    if text:
        dtype = h5py.string_dtype("utf-8", len(text))
        group.attrs.create(name, np.bytes_(text), dtype=dtype)


def write_node_texts(group: h5py.Group, node: Node) -> None:
    """Write the name, block and origin of a node."""
    for key in NODE_TEXTS:
        write_text(group, key, getattr(node, key).encode())


def write_type(group: h5py.Group, layer_type: str) -> None:
    """Write the layer type as lava-dl does: a fixed-length string in a 1-element array."""
    write_small(group, "type", np.array([layer_type.encode("ascii")], TYPE_DTYPE))


def write_small(group: h5py.Group, name: str, values: np.ndarray | np.generic) -> None:
    """Write a few values into the object header, which is covered by a checksum."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.COMPACT)
    group.create_dataset(name, data=values, dcpl=properties)


def write_array(
    group: h5py.Group, name: str, values: np.ndarray, dtype: type, *, compress: bool
) -> None:
    """Write an array of integers with a checksum; compress it unless it is small."""
    values = np.ascontiguousarray(values, dtype=dtype)
    if values.size < COMPRESS_FROM:
        write_small(group, name, values)
        return
    row = values.nbytes // values.shape[0]
    rows = min(values.shape[0], max(1, CHUNK_BYTES // row))
    options = {"compression": "gzip", "shuffle": True} if compress else {}
    group.create_dataset(
        name, data=values, chunks=(rows, *values.shape[1:]), fletcher32=True, **options
    )
