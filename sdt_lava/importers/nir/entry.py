"""Determine shape and range of a NIR graph's input, which files may specify incompletely."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import nir
import numpy as np

from sdt_lava.errors import NirError
from sdt_lava.importers.nir.layers import axes_wanted
from sdt_lava.importers.nir.structure import Structure
from sdt_lava.io.nir.values import numbers, sides
from sdt_lava.ir import Input, Shape

_REMEDY = "pass input_shape (--input-shape C,H,W)"


def input_shape(structure: Structure, name: str, given: Shape | None) -> tuple[Shape, str]:
    """Return the shape of one frame, and a note on how it differs from the shape in the file.

    Parameters
    ----------
    structure : Structure
        The graph.
    name : str
        Name of its input.
    given : tuple of int, optional
        Shape given by the caller; takes precedence over the file.

    Raises
    ------
    NirError
        If neither the input nor its readers specify the shape.
    """
    types = structure.nodes[name].input_type
    declared = types.get("input") if isinstance(types, dict) else None
    written = (
        None if declared is None or not np.size(declared) else sides(declared, f"{name}: shape")
    )
    if given is not None:
        if written in (None, given, (1, *given)):
            return given, ""
        return given, f"{name}: shape {given} was asked for, the file says {written}"
    reader = _first_reader(structure, name)
    if written is None:
        inferred = None if reader is None else _shape_read_by(structure.nodes[reader])
        if inferred is None:
            raise NirError(f"{name}: shape", "no shape", "the shape of one frame", _REMEDY)
        return inferred, f"{name}: shape {inferred} as {reader} reads it"
    frame = _without_batch(written, None if reader is None else structure.nodes[reader])
    if frame == written:
        return written, ""
    return frame, f"{name}: shape {written} without the axis of a batch: {frame}"


def _without_batch(written: Shape, reader: Any) -> Shape:
    """Remove the batch and time axes that some programs write.

    The number of axes is that of the first node that defines it. If no node does, a first axis of
    length 1 is a batch, unless the shape is that of an image.
    """
    axes = None if reader is None else axes_wanted(reader)
    if axes is None:
        surplus = written[0] == 1 and len(written) in (2, 4)
        return written[1:] if surplus else written
    reader_shape = _shape_read_by(reader)
    if isinstance(reader, (nir.Linear, nir.Affine)) and reader_shape == (prod(written),):
        # A matrix over all values: an image without a Flatten before the matrix, or a batch of 1.
        return written[1:] if written[0] == 1 and len(written) in (2, 4) else written
    frame = written[-axes:]
    if isinstance(reader, (nir.Conv1d, nir.Conv2d)):
        fits = frame[0] == _channels_read_by(reader)
    else:
        fits = reader_shape is None or frame == reader_shape or written[0] == 1
    return frame if fits else written


def _first_reader(structure: Structure, name: str) -> str | None:
    """Return the first node after the input that defines how many axes it reads."""
    queue, visited = [name], {name}
    while queue:
        for reader in structure.readers[queue.pop(0)]:
            if reader in visited:
                continue
            visited.add(reader)
            node = structure.nodes[reader]
            if isinstance(node, nir.Flatten):
                return reader if _shape_read_by(node) is not None else None
            if axes_wanted(node) is not None:
                return reader
            queue.append(reader)
    return None


def _channels_read_by(node: Any) -> int | None:
    """Return the number of channels that a convolution reads; None if it is unknown."""
    groups, weight = np.asarray(node.groups), np.shape(node.weight)
    if groups.size != 1 or groups.dtype.kind not in "iuf" or len(weight) < 2:
        return None
    if not np.isfinite(groups).all():
        return None
    return weight[1] * int(groups.reshape(()))


def _shape_read_by(node: Any) -> Shape | None:
    """Return the shape that a node reads, or None if the node does not define it."""
    if isinstance(node, (nir.Linear, nir.Affine)):
        return (int(np.shape(node.weight)[-1]),)
    if isinstance(node, (nir.Conv1d, nir.Conv2d)):
        channels = _channels_read_by(node)
        if node.input_shape is None or channels is None:
            return None
        return (channels, *sides(node.input_shape, "input_shape"))
    if isinstance(node, nir.Flatten):
        input_type = node.input_type.get("input") if isinstance(node.input_type, dict) else None
        return (
            None
            if input_type is None or not np.size(input_type)
            else sides(input_type, "input_type")
        )
    for field in ("v_threshold", "scale", "threshold", "delay"):
        values = getattr(node, field, None)
        if values is not None and np.ndim(values):
            return tuple(int(side) for side in np.shape(values))
    return None


def input_node(
    name: str, shape: Shape, metadata: Mapping[str, Any], entry: tuple[float, int, int] | None
) -> Input:
    """Create the input node with its range.

    Parameters
    ----------
    name : str
        Name of the node.
    shape : tuple of int
        Shape of one frame.
    metadata : mapping
        Metadata of the node, which contain scale, low and high in graphs written by sdt-lava.
    entry : tuple or None
        Scale, low and high; None to read them from the metadata.
    """
    more: dict[str, Any] = {}
    if entry is not None:
        scale, low, high = entry
    else:
        scale = _entry(metadata, "scale", name)
        low, high = (int(_entry(metadata, key, name)) for key in ("low", "high"))
        if "offset" in metadata:
            more["offset"] = _entry(metadata, "offset", name)
        if "widens" in metadata:
            more["widens"] = bool(_entry(metadata, "widens", name))
    finite = np.isfinite(more.get("offset", 0.0))
    if not (low <= 0 <= high and low < high and 0 < scale < np.inf and finite):
        raise NirError(
            f"{name}: input range", f"{low} to {high}, {scale} levels a unit",
            "low <= 0 <= high, low < high, a positive scale, a finite offset",
        )  # fmt: skip
    return Input(name=name, shape=shape, scale=scale, low=low, high=high, **more)


def _entry(metadata: Mapping[str, Any], key: str, name: str) -> float:
    value = numbers(metadata.get(key), f"{name}: metadata {key!r}")
    if value.size != 1:
        raise NirError(f"{name}: metadata {key!r}", f"{value.size} numbers", "one number")
    return float(value.reshape(()))


def frame_shape(shape: Shape) -> Shape:
    """Return the shape of our input: a row of values per channel becomes an image of height 1."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape


def size(shape: Shape) -> int:
    """Return the number of values."""
    return prod(shape)
