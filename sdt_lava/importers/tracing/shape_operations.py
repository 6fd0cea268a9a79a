"""Handle operations that only move values; they create no nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from sdt_lava.importers.tracing.axes import (
    COPIES,
    TIME,
    Axis,
    Factor,
    Layout,
    is_whole,
    merged,
    reshaped,
    roots,
    significant,
    size_of,
    whole,
)
from sdt_lava.importers.tracing.calls import Call, handles
from sdt_lava.importers.tracing.refusals import NoMeaning
from sdt_lava.importers.tracing.symbols import Events, Selection, Steps, Traced

# Distinct sizes that identify axes.
_DISTINCT = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11)


@handles(
    "contiguous", "clone", "detach", "to", "type", "type_as", "float", "double", "half", "bfloat16",
    "cuda", "cpu", "requires_grad", "data", "alias", "pos", "positive",
)  # fmt: skip
def same(call: Call) -> Traced:
    """Return the traced value unchanged."""
    symbol = call.subject.symbol
    is_binary = isinstance(symbol, Events) and symbol.is_binary and symbol.gain == 1
    if not call.result.is_floating_point() and not (is_binary and not call.subject.is_sum):
        raise NoMeaning(f"{call.name} to {call.result.dtype}, which rounds", "floating-point types")
    return call.subject


@handles("dropout", "dropout1d", "dropout2d", "dropout3d", "feature_dropout", "alpha_dropout")
def dropout(call: Call) -> Traced:
    """Return the traced value unchanged, like dropout in evaluation mode."""
    if call.arg(1, "p", 0.5) and call.arg(2, "training", True):
        raise NoMeaning("dropout that is not switched off in evaluation", "self.training")
    return call.subject


@handles("reshape", "view", "flatten", "unflatten", "squeeze", "unsqueeze", "ravel",
         "reshape_as", "view_as")  # fmt: skip
def reshape(call: Call) -> Traced:
    """Follow a reshape in C order."""
    subject = call.subject
    if call.name == "view" and any(isinstance(value, torch.dtype) for value in call.args):
        raise NoMeaning("the bits of numbers as those of another type", "to(dtype)")
    layout = reshaped(subject.layout, call.shape)
    if layout is None:
        raise NoMeaning(
            f"a reshape of {_shape(subject.layout)} to {call.shape}, which mixes axes",
            "axes that are joined, or split evenly",
        )
    return replace(subject, layout=layout)


@handles("permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "T", "mT",
         "H", "mH", "adjoint")  # fmt: skip
def permute(call: Call) -> Traced:
    """Follow a permutation, which is determined by applying it to axes of distinct lengths."""
    subject = call.subject
    lengths = _DISTINCT[: len(subject.layout)]
    probe = torch.empty(lengths, device="meta")
    if call.name in ("T", "mT", "H", "mH"):
        moved = getattr(probe, call.name)
    else:
        moved = getattr(torch.Tensor, call.name)(probe, *call.args[1:], **call.kwargs)
    layout = tuple(subject.layout[lengths.index(length)] for length in moved.shape)
    return replace(subject, layout=layout)


@handles("expand", "expand_as", "broadcast_to", "repeat", "tile")
def expand(call: Call) -> Traced:
    """Follow copies along an axis of length 1; copies of a static value are time steps."""
    subject = call.subject
    old: Layout = ((),) * (len(call.shape) - len(subject.layout)) + subject.layout
    is_static = subject.time is None and TIME not in roots(old)
    axes: list[Axis] = []
    for axis, length in zip(old, call.shape, strict=True):
        if size_of(axis) == length:
            axes.append(axis)
        elif size_of(axis) > 1:
            raise NoMeaning("copies along an axis that has values already", "along new axes")
        elif is_static:
            call.context.set_steps(length)
            axes.append(whole(TIME, length))
            is_static = False
        else:
            axes.append((Factor(COPIES, 1, length),))
    return replace(subject, layout=tuple(axes))


@handles("getitem", "select", "narrow")
def index(call: Call) -> Traced:
    """Follow slicing, new axes and selection of single time steps."""
    if call.name == "select":
        dim, position = call.arg(1, "dim"), call.arg(2, "index")
        keys: tuple[Any, ...] = (slice(None),) * (dim % len(call.subject.layout)) + (position,)
    elif call.name == "narrow":
        raise NoMeaning("a part of an axis")
    else:
        key = call.args[1]
        keys = key if isinstance(key, tuple) else (key,)
    return _indexed(call, call.subject, _without_ellipsis(keys, len(call.subject.layout)))


def _without_ellipsis(given: Sequence[Any], ndim: int) -> list[Any]:
    used = sum(part is not None and part is not Ellipsis for part in given)
    parts: list[Any] = []
    for part in given:
        parts += [slice(None)] * (ndim - used) if part is Ellipsis else [part]
    used = sum(part is not None for part in parts)
    return parts + [slice(None)] * (ndim - used)


def _indexed(call: Call, subject: Traced, parts: list[Any]) -> Traced:
    axes: list[Axis] = []
    time = subject.time
    remaining = list(subject.layout)
    strides: dict[int, tuple[Axis, int]] = {}
    for part in parts:
        if part is None:
            axes.append(())
            continue
        axis = remaining.pop(0)
        if isinstance(part, slice) and part == slice(None):
            axes.append(axis)
        elif isinstance(part, slice):
            stride = _stride(part, size_of(axis))
            if stride > 1:
                strides[len(axes)] = axis, stride
            axes.append(axis)
        elif isinstance(part, int):
            time = _step(call, axis, part, time)
        else:
            raise NoMeaning(f"an index of type {type(part).__name__}", "integers, slices, None")
    traced = replace(subject, layout=tuple(axes), time=time)
    return _every_so_many(call, traced, strides) if strides else traced


def _stride(part: slice, length: int) -> int:
    start, stop, stride = part.indices(length)
    if start or stop < length or stride < 1:
        raise NoMeaning("a part of an axis", "all of it, or every so many from the first one on")
    return stride if length > 1 else 1


def _step(call: Call, axis: Axis, position: int, time: Steps | None) -> Steps | None:
    if not significant(axis) and TIME not in roots([axis]):
        return time
    steps = size_of(axis)
    if not is_whole(axis, TIME, steps):
        raise NoMeaning("a single position of an axis other than time", "a time step")
    call.context.set_steps(steps)
    return Steps(frozenset({position % steps}))


def _every_so_many(call: Call, traced: Traced, strides: dict[int, tuple[Axis, int]]) -> Traced:
    symbol = traced.symbol
    strides_by_root = {
        merged(axis)[0].root if merged(axis) else "": s for axis, s in strides.values()
    }
    is_image = len(symbol.shape) == 3 and set(strides_by_root) <= {"1", "2"}
    if not is_image or len(set(strides_by_root.values())) > 1 or isinstance(symbol, Events):
        raise NoMeaning("a slice with steps", "of currents, every k-th row and column")
    stride = next(iter(strides_by_root.values()))
    channels, height, width = symbol.shape
    if any(str(axis) not in strides_by_root and symbol.shape[axis] > 1 for axis in (1, 2)):
        raise NoMeaning("a slice with steps along one axis", "along rows and columns")
    shape = (channels, -(-height // stride), -(-width // stride))
    selection = call.context.once(
        ("select", id(symbol), stride),
        lambda: Selection(shape, symbol, stride, call.origin("subsample")),
    )
    axes = list(traced.layout)
    for position, (axis, _) in strides.items():
        root = merged(axis)[0].root
        axes[position] = whole(root, shape[int(root)])
    return replace(traced, symbol=selection, layout=tuple(axes))


@handles("unbind", "iter")
def unbind(call: Call) -> list[Traced]:
    """Separate time steps."""
    subject = call.subject
    dim = call.arg(1, "dim", 0) % len(subject.layout)
    before = [slice(None)] * dim
    number = size_of(subject.layout[dim])
    rest = [slice(None)] * (len(subject.layout) - dim - 1)
    return [_indexed(call, subject, [*before, step, *rest]) for step in range(number)]


@handles("stack", "cat", "concat", "concatenate")
def stack(call: Call) -> Traced:
    """Join time steps."""
    parts = [call.traced(tensor) for tensor in call.arg(0, "tensors")]
    first = parts[0]
    if first is None or any(part is None or part.symbol is not first.symbol for part in parts):
        raise NoMeaning("different signals joined along an axis", "the steps of one signal")
    dim = call.arg(1, "dim", 0) % len(call.shape)
    is_new = call.name == "stack"
    if not is_new and size_of(first.layout[dim]) > 1:
        raise NoMeaning("signals joined along an axis that they have", "steps along a new axis")
    layouts = {tuple(map(merged, part.layout)) for part in parts if part is not None}
    steps = [part.time for part in parts if part is not None]
    expected_steps = [Steps(frozenset({step})) for step in range(len(parts))]
    if len(layouts) > 1 or (steps != expected_steps and any(step is not None for step in steps)):
        raise NoMeaning("time steps joined in another order", "all steps from the first one on")
    call.context.set_steps(len(parts))
    axes = list(first.layout)
    axes[dim : dim + (not is_new)] = [whole(TIME, len(parts))]
    return Traced(first.symbol, tuple(axes))


def _shape(layout: Layout) -> tuple[int, ...]:
    return tuple(size_of(axis) for axis in layout)
