"""The input of a NIR graph: its shape, where files say too much or too little, and its range."""

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
    """Return the shape of one frame, and a note on how it differs from the file's.

    Parameters
    ----------
    structure : Structure
        The graph.
    name : str
        Its input.
    given : tuple of int, optional
        What the caller says; counts more than the file.

    Raises
    ------
    NirError
        If neither the input nor what reads it says the shape.
    """
    types = structure.nodes[name].input_type
    found = types.get("input") if isinstance(types, dict) else None
    written = None if found is None or not np.size(found) else sides(found, f"{name}: shape")
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
    """Return a shape without the axes of batch and time that some programs write.

    There are as many axes as the first node reads that says so; a first axis of 1 is a batch where
    nothing says how many, but for images.
    """
    wanted = None if reader is None else axes_wanted(reader)
    if wanted is None:
        surplus = written[0] == 1 and len(written) in (2, 4)
        return written[1:] if surplus else written
    read = _shape_read_by(reader)
    if isinstance(reader, (nir.Linear, nir.Affine)) and read == (prod(written),):
        # A matrix on all values: an image without the Flatten between them, or a batch of 1.
        return written[1:] if written[0] == 1 and len(written) in (2, 4) else written
    frame = written[-wanted:]
    if isinstance(reader, (nir.Conv1d, nir.Conv2d)):
        fits = frame[0] == _channels_read_by(reader)
    else:
        fits = read is None or frame == read or written[0] == 1
    return frame if fits else written


def _first_reader(structure: Structure, name: str) -> str | None:
    """Return the first node behind the input that says how many axes it reads."""
    waiting, seen = [name], {name}
    while waiting:
        for reader in structure.readers[waiting.pop(0)]:
            if reader in seen:
                continue
            seen.add(reader)
            node = structure.nodes[reader]
            if isinstance(node, nir.Flatten):
                return reader if _shape_read_by(node) is not None else None
            if axes_wanted(node) is not None:
                return reader
            waiting.append(reader)
    return None


def _channels_read_by(node: Any) -> int | None:
    """Return the channels that a convolution reads; None if they cannot be told."""
    groups, weight = np.asarray(node.groups), np.shape(node.weight)
    if groups.size != 1 or groups.dtype.kind not in "iuf" or len(weight) < 2:
        return None
    if not np.isfinite(groups).all():
        return None
    return weight[1] * int(groups.reshape(()))


def _shape_read_by(node: Any) -> Shape | None:
    """Return the shape that a node reads, if it says so."""
    if isinstance(node, (nir.Linear, nir.Affine)):
        return (int(np.shape(node.weight)[-1]),)
    if isinstance(node, (nir.Conv1d, nir.Conv2d)):
        channels = _channels_read_by(node)
        if node.input_shape is None or channels is None:
            return None
        return (channels, *sides(node.input_shape, "input_shape"))
    if isinstance(node, nir.Flatten):
        given = node.input_type.get("input") if isinstance(node.input_type, dict) else None
        return None if given is None or not np.size(given) else sides(given, "input_type")
    for field in ("v_threshold", "scale", "threshold", "delay"):
        values = getattr(node, field, None)
        if values is not None and np.ndim(values):
            return tuple(int(side) for side in np.shape(values))
    return None


def input_node(
    name: str, shape: Shape, metadata: Mapping[str, Any], entry: tuple[float, int, int] | None
) -> Input:
    """Return the input with its range.

    Parameters
    ----------
    name : str
        The node.
    shape : tuple of int
        One frame.
    metadata : mapping
        Of a graph of ours, which say scale, low and high.
    entry : tuple or None
        Scale, low and high; None if the metadata say them.
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
    """Return the axes that our input has: a row of values by channel is an image of height 1."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape


def size(shape: Shape) -> int:
    """Return the number of values."""
    return prod(shape)
