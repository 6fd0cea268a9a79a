"""Damage to the structure of an HDF5 file."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import h5py
import numpy as np

_SHAPES = ((), (), (1,), (1,), (2,), (3,), (5,), (0,), (2, 2), (4, 1, 3, 3), (1,) * 9, (4, 4, 1, 1))
_NUMBERS = ("i1", "i2", "i4", "i8", "u1", "u4", "u8", "f2", "f4", "f8", ">i4", "c8", "?", "g")
_FILLS = (0, 0, 1, 1, 2, 3, -1, -2, 127, 255, 1000, 4097, 2**17, 2**31, -(2**31), 2**62)
_REALS = (0.5, -0.0, np.nan, np.inf, -np.inf, 1e-320, 1e30, 1e300, 1e308)
_WORDS = (
    "",
    "digits",
    "lif",
    "conv_sdt",
    "input",
    "dense_sdt",
    "shortcut",
    "__class__",
    "\u00fc" * 5,
    "x" * 2000,
    "[bold]",
)
# Values that a damage reads at most.
_MOST_READ = 100_000
_JSON = (
    "null",
    "[]",
    "{}",
    '{"config": 1}',
    '{"config": {"dataset": 5}}',
    '{"config": {"dataset": ["digits"]}}',
    '{"config": {"dataset": {"a": 1}}}',
    '{"config": null, "report": 3, "quantization": [], "preset": 1, "weights": {}}',
    '{"a": ' + "9" * 5000 + "}",
    '{"a": 1e999}',
    '{"a": -Infinity}',
    "[" * 20_000,
    '{"a":' * 900 + "1" + "}" * 900,
    '{"\\ud800": "\\ud800"}',
    '{"config": {"dataset": "[/bold]\\u001b[2J"}}',
)


def _objects(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visit(names.append)
    return names


def _member(rng: Random, file: h5py.File, kind: type | None = None) -> str:
    names = [name for name in _objects(file) if kind is None or isinstance(file[name], kind)]
    return rng.choice(names or ["/"])


def _numbers(rng: Random, file: h5py.File) -> tuple[str, np.ndarray] | None:
    """Return an array of numbers and its name; what an earlier damage made huge is left alone."""
    name = _member(rng, file, h5py.Dataset)
    if name == "/" or file[name].dtype.kind not in "iuf" or not file[name].shape:
        return None
    return None if file[name].size > _MOST_READ else (name, file[name][()])


def _group(rng: Random, file: h5py.File) -> h5py.Group:
    return file[rng.choice(["/", *(n for n in _objects(file) if isinstance(file[n], h5py.Group))])]


def _array(rng: Random) -> object:
    dtype, shape = rng.choice(_NUMBERS), rng.choice(_SHAPES)
    real = np.dtype(dtype).kind in "fc"
    with np.errstate(all="ignore"):
        values = np.full(shape, 0, dtype)
        fill = rng.choice((*_FILLS, *_REALS) if real else _FILLS)
        values[...] = np.asarray(fill).astype(dtype)
    return values


def _odd(rng: Random, file: h5py.File) -> dict:
    """Return arguments of create_dataset for a type that no reader expects."""
    return rng.choice(
        (
            {"data": "text"},
            {"data": rng.choice(_WORDS)},
            {"data": np.bytes_(b"\xff\xfe\x00a")},
            {"data": np.array([b"lif", b"lif"])},
            {"data": np.array([rng.choice(_WORDS).encode()[:10] or b"x"])},
            {"data": np.zeros(3, [("a", int), ("b", float)])},
            {"data": np.zeros(2, np.void(3).dtype)},
            {"data": h5py.Empty("i2")},
            {"shape": (2,), "dtype": h5py.vlen_dtype(np.int32)},
            {"shape": (1,), "dtype": h5py.string_dtype()},
            {"shape": (3,), "dtype": h5py.ref_dtype},
            {"shape": (1,), "dtype": h5py.regionref_dtype},
            {"data": file.ref, "dtype": h5py.ref_dtype},
            {"shape": (2,), "dtype": h5py.enum_dtype({"a": 1, "b": 2}, "i1")},
            {"shape": (2,), "dtype": np.dtype(("i4", (3,)))},
        )
    )


def _remove(rng: Random, file: h5py.File, _: Path) -> None:
    del file[_member(rng, file)]


def _remove_attribute(rng: Random, file: h5py.File, _: Path) -> None:
    group = _group(rng, file)
    if group.attrs:
        del group.attrs[rng.choice(list(group.attrs))]


def _change_attribute(rng: Random, file: h5py.File, _: Path) -> None:
    group = _group(rng, file)
    name = rng.choice([*group.attrs, "inputs", "scale", "more"])
    value = rng.choice((_array(rng), _array(rng), rng.choice(_WORDS), h5py.Empty("f8")))
    if name == "metadata":
        value = rng.choice(_JSON)
    group.attrs[name] = value


def _reference_attribute(rng: Random, file: h5py.File, _: Path) -> None:
    group = _group(rng, file)
    name = rng.choice([*group.attrs, "inputs"])
    group.attrs.create(name, file.ref, dtype=h5py.ref_dtype)


def _change_metadata(rng: Random, file: h5py.File, _: Path) -> None:
    text = rng.choice(_JSON)
    file.attrs["metadata"] = np.bytes_(text.encode()) if len(text) < 60_000 else text


def _change_inputs(rng: Random, file: h5py.File, _: Path) -> None:
    """Cycles, forward and negative references, other graphs."""
    layers = [group for group in file.get("layer", {}).values() if isinstance(group, h5py.Group)]
    if layers:
        count = rng.choice((0, 1, 1, 1, 2, 3, 5000))
        low, high = rng.choice(((0, len(layers)), (0, len(layers)), (-3, 3 * len(layers))))
        values = [rng.randrange(low, high + 1) for _ in range(count)]
        rng.choice(layers).attrs["inputs"] = np.array(values, np.int64)


def _change_dataset(rng: Random, file: h5py.File, _: Path) -> None:
    name = _member(rng, file, h5py.Dataset)
    if name == "/":
        return
    del file[name]
    file[name] = _array(rng)


def _reshape(rng: Random, file: h5py.File, _: Path) -> None:
    """Other values, types or axes of what is there."""
    found = _numbers(rng, file)
    if found is None:
        return
    name, values = found
    del file[name]
    with np.errstate(all="ignore"):
        file[name] = rng.choice(
            (
                lambda v: v.astype(rng.choice(_NUMBERS)),
                lambda v: np.asarray(v).ravel(),
                lambda v: np.asarray(v)[None],
                lambda v: np.concatenate([np.atleast_1d(v)] * 3),
                lambda v: np.atleast_1d(v)[..., :1],
                lambda v: np.atleast_1d(v).T,
                lambda v: np.asarray(v) * 0 + rng.choice(_FILLS),
                lambda v: np.asarray(v).astype("f8") * rng.choice((1e4, -1, 0.5, np.nan)),
                lambda v: np.asarray(v, "i8") * rng.choice((-1, 2, 1000, 2**40)),
            )
        )(values)


def _change_type(rng: Random, file: h5py.File, _: Path) -> None:
    name = _member(rng, file, h5py.Dataset)
    if name != "/":
        del file[name]
        file.create_dataset(name, **_odd(rng, file))


def _add(rng: Random, file: h5py.File, _: Path) -> None:
    group = _group(rng, file)
    known = ("bias", "delay", "weight_rec", "exponent", "neuron", "0", "99", "a\n\x1b[2J", "weight")
    name = rng.choice((*known, "type", "shape", "simulation"))
    if name not in group:
        rng.choice((lambda: group.create_group(name), lambda: group.create_dataset(name, data=1)))()


def _exchange(rng: Random, file: h5py.File, _: Path) -> None:
    """Give one place what belongs in another."""
    source, target = _member(rng, file), _member(rng, file)
    if "/" not in (source, target) and not target.startswith(source):
        file.copy(source, "kept")
        del file[target]
        file.move("kept", target)


def _huge(rng: Random, file: h5py.File, _: Path) -> None:
    """Declare far more than there is."""
    name = _member(rng, file, h5py.Dataset)
    if name == "/":
        return
    shape = rng.choice(
        (
            (2**40,),
            (2**20, 2**20),
            (2**30, 2**30, 2, 2),
            (4096, 4096, 4, 4),
            (4, 2**29, 1, 1),
            (2**31 - 1,),
        )
    )
    options = rng.choice(
        ({}, {"chunks": (1,) * len(shape)}, {"chunks": True}, {"chunks": True, "fillvalue": 2})
    )
    if rng.random() < 0.3 and options.get("chunks") is True:
        options = {**options, "compression": "gzip"}
    del file[name]
    file.create_dataset(name, shape, rng.choice(("i2", "i8", "f4")), **options)


def _bomb(rng: Random, file: h5py.File, _: Path) -> None:
    """Little that inflates to much, honestly declared or not."""
    name = _member(rng, file, h5py.Dataset)
    if name == "/":
        return
    side = rng.choice((256, 1024, 2048))
    shape = rng.choice(((side, side), (side, side, 1, 1), (side * side,)))
    del file[name]
    dataset = file.create_dataset(name, shape, "i2", chunks=shape, compression="gzip")
    size = rng.choice((side * side * 2, 20_000_000, 10))
    dataset.id.write_direct_chunk((0,) * len(shape), zlib.compress(bytes(size), 9))


def _extensible(rng: Random, file: h5py.File, _: Path) -> None:
    """Grow a stored array: what is not there is filled on demand."""
    found = _numbers(rng, file)
    if found is None or 0 in found[1].shape:
        return
    name, values = found
    del file[name]
    options = {"maxshape": (None,) * values.ndim, "chunks": values.shape}
    dataset = file.create_dataset(name, data=values, **options)
    dataset.resize(tuple(side * rng.choice((1, 2, 100, 2**20)) for side in values.shape))


def _soft_link(rng: Random, file: h5py.File, _: Path) -> None:
    source, target = _member(rng, file), _member(rng, file)
    if target != "/":
        del file[target]
        file[target] = h5py.SoftLink(rng.choice((f"/{source}", f"/{target}", "/nowhere", "/")))


def _external_link(rng: Random, file: h5py.File, canary: Path) -> None:
    target = _member(rng, file)
    if target != "/":
        del file[target]
        path = rng.choice((str(canary / "canary.h5"), "../canary.h5", "/etc/passwd"))
        file[target] = h5py.ExternalLink(path, rng.choice(("/weight", "/layer", "/")))


def _hard_link(rng: Random, file: h5py.File, _: Path) -> None:
    """Let a group contain itself, the root or what belongs elsewhere."""
    group, source = _group(rng, file), rng.choice(["/", _member(rng, file)])
    name = rng.choice([*group, "more", "layer"])
    if name in group:
        if file[source] == group[name]:
            return
        kept = file[source]
        del group[name]
        group[name] = kept
    else:
        group[name] = file[source]


def _virtual(rng: Random, file: h5py.File, canary: Path) -> None:
    name = _member(rng, file, h5py.Dataset)
    if name == "/":
        return
    shape = file[name].shape or (1,)
    del file[name]
    layout = h5py.VirtualLayout(shape, "i2")
    path = rng.choice((str(canary / "canary.h5"), ".", "canary-%b.h5"))
    layout[...] = h5py.VirtualSource(path, "weight", shape)
    file.create_virtual_dataset(name, layout)


def _external_data(rng: Random, file: h5py.File, canary: Path) -> None:
    name = _member(rng, file, h5py.Dataset)
    if name == "/":
        return
    shape, dtype = file[name].shape, file[name].dtype
    if not shape or dtype.kind not in "iuf":
        shape, dtype = (4,), np.dtype("i2")
    del file[name]
    path = rng.choice((str(canary / "canary.bin"), "../canary.bin"))
    file.create_dataset(name, shape, dtype, external=[(path, 0, h5py.h5f.UNLIMITED)])


def _filters(rng: Random, file: h5py.File, _: Path) -> None:
    found = _numbers(rng, file)
    if found is None or 0 in found[1].shape:
        return
    name, values = found
    del file[name]
    options = rng.choice(
        (
            {"compression": "lzf"},
            {"compression": "gzip", "fletcher32": True},
            {"scaleoffset": 1},
            {"fletcher32": True, "shuffle": True},
        )
    )
    file.create_dataset(name, data=values, chunks=values.shape, **options)


def _nest(rng: Random, file: h5py.File, _: Path) -> None:
    group = _group(rng, file)
    for _level in range(rng.choice((3, 60, 300))):
        group = group.require_group(rng.choice(("g", "layer")))


def _crowd(rng: Random, file: h5py.File, _: Path) -> None:
    """Very many members, attributes or layers."""
    group = _group(rng, file)
    for index in range(rng.choice((70, 300))):
        name = str(index)
        if rng.random() < 0.5:
            group.attrs[name] = index
        elif name not in group:
            group.create_group(name)


def _duplicate_layers(rng: Random, file: h5py.File, _: Path) -> None:
    layers = file.get("layer")
    if not isinstance(layers, h5py.Group) or not len(layers):
        return
    count = len(layers)
    for extra in range(rng.choice((1, 3))):
        source = str(rng.randrange(count))
        if source in layers and str(count + extra) not in layers:
            layers.copy(source, str(count + extra))
            if rng.random() < 0.7 and isinstance(layers[str(count + extra)], h5py.Group):
                layers[str(count + extra)].attrs["name"] = f"extra {extra}"


Damage = Callable[[Random, h5py.File, Path], None]
DAMAGES: tuple[Damage, ...] = (
    _remove,
    _remove_attribute,
    _change_attribute,
    _change_attribute,
    _change_attribute,
    _change_attribute,
    _reference_attribute,
    _change_metadata,
    _change_inputs,
    _change_inputs,
    _change_dataset,
    _change_dataset,
    _reshape,
    _reshape,
    _reshape,
    _change_type,
    _add,
    _exchange,
    _exchange,
    _huge,
    _bomb,
    _extensible,
    _soft_link,
    _external_link,
    _hard_link,
    _virtual,
    _external_data,
    _filters,
    _nest,
    _crowd,
    _duplicate_layers,
)


def damage(rng: Random, path: Path, canary: Path) -> None:
    """Apply one to four damages to a file."""
    with h5py.File(path, "r+") as file:
        for _ in range(rng.choice((1, 1, 2, 4))):
            try:
                rng.choice(DAMAGES)(rng, file, canary)
            except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError):
                # An earlier damage is in the way of this one, or HDF5 refuses to write it.
                continue
