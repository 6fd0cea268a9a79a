"""Small files that would take time or memory out of all proportion: pickles, archives, networks."""

from __future__ import annotations

import bz2
import io
import lzma
import struct
import zlib
from collections.abc import Callable
from functools import cache
from math import prod
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from sdt_lava.io.netx import save_network
from sdt_lava.ir import Conv, Graph, Input, Lif, MaxPool, Node, Shortcut, Subsample, TokenMean

# Python's hash of an integer is its remainder by this.
_HASH_MODULUS = 2**61 - 1
_DEFLATE, _BZIP2, _LZMA = 8, 12, 14


# Archives


@cache
def _inflating(method: int, mebibytes: int) -> bytes:
    zeros = bytes(2**20)
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + b" " * 118
    compressor = {
        _DEFLATE: lambda: zlib.compressobj(9, wbits=-15),
        _BZIP2: lambda: bz2.BZ2Compressor(9),
        _LZMA: lambda: lzma.LZMACompressor(lzma.FORMAT_ALONE),
    }[method]()
    parts = [compressor.compress(start), *(compressor.compress(zeros) for _ in range(mebibytes))]
    return b"".join((*parts, compressor.flush()))


def archive(rng: Random) -> bytes:
    """Return an .npz file whose member inflates to more than it declares, or otherwise."""
    # A third tells the truth about most of itself; it may load.
    honest = rng.random() < 0.33

    def one_of(truth: Any, *others: Any) -> Any:
        return truth if honest and rng.random() < 0.9 else rng.choice((truth, *others))

    method = one_of(0, _DEFLATE, _DEFLATE, _BZIP2, _LZMA, 99)
    shape = rng.choice(((1, 2, 6, 5), (2**20, 1, 1, 1), (4, 2, 6, 5)))
    if method in (_DEFLATE, _BZIP2, _LZMA):
        content = _inflating(method, rng.choice((1, 64)))
    else:
        buffer = io.BytesIO()
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(buffer, header)
        content = buffer.getvalue() + bytes(one_of(4 * prod(shape), 0, 240, 960, 4096))
    size = one_of(len(content), 128 + 4 * 60, 2**24, 0xFFFFFF00, 0)
    packed = one_of(len(content), len(content), len(content) // 2, 0xFFFFFF00)
    flags = one_of(0, 0, 0, 1, 8, 0x800)
    names = one_of(b"x.npy", b"x.npy", b"y.npy"), b"x.npy"
    crc = one_of(zlib.crc32(content), 0)
    fields = struct.pack("<3H2x2x3L", 20, flags, method, crc, packed, size)
    local = b"PK\x03\x04" + fields + struct.pack("<2H", len(names[0]), 0) + names[0]
    central = b"PK\x01\x02" + struct.pack("<H", 20) + fields
    central += struct.pack("<5H2L", len(names[1]), 0, 0, 0, 0, 0, 0) + names[1]
    count = one_of(1, 1, 1, 5000)
    place = len(local) + len(content)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(central) * count, place, 0)
    return local + content + central * count + end


# Pickles


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def _long(value: int) -> bytes:
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def _shared(rng: Random) -> bytes:
    """As a tree it has 2^n leaves; the memo starts with it."""
    count = rng.choice((20, 60, 200))
    return b"]q\x00" + b"".join(
        b"h" + bytes([n - 1]) + b"\x86q" + bytes([n]) for n in range(1, count)
    )


def _deep(rng: Random) -> bytes:
    count = rng.choice((1000, 50_000))
    return rng.choice((b"]" * count + b"a" * (count - 1), b")" + b"\x85" * count))


def _keys(rng: Random) -> bytes:
    count, step = rng.choice((100, 40_000)), rng.choice((1, 2**20, 2**32, _HASH_MODULUS))
    return b"}(" + b"".join(_long(n * step) + b"N" for n in range(1, count)) + b"u"


def _memo(rng: Random) -> bytes:
    count, step = rng.choice((100, 100_000)), rng.choice((1, 2**8, 2**12))
    puts = (b"r" + struct.pack("<I", n * step % 2**32) for n in range(count))
    return b"]" + b"".join(puts)


def _attributes(rng: Random) -> bytes:
    names = b"".join(_text(f"key {n}") + b"N" for n in range(rng.choice((3, 2000))))
    bag = b"cargparse\nNamespace\n)\x81}(" + names + b"uq\x00b"
    return bag + b"h\x00b" * rng.choice((1, 20_000))


_PARTS: tuple[Callable[[Random], bytes], ...] = (_shared, _deep, _keys, _memo, _attributes)


def bomb_pickle(rng: Random, sound: bytes) -> bytes:
    """Return a pickle of one bomb, alone or where a checkpoint keeps something.

    Parameters
    ----------
    rng : Random
        Chooses.
    sound : bytes
        Pickle of a checkpoint, a dict, which may get the bomb as its first entry.
    """
    part = rng.choice(_PARTS)(rng)
    where = rng.choice(("", "state_dict", "format", "args", "config", "version", "more"))
    if where == "more":
        start, mark = sound[: sound.index(b"(")], sound.index(b"(") + 1
        return start + b"(" + _text("note") + _small(rng, part) + sound[mark:]
    if not where:
        return b"\x80\x02" + part + b"."
    state = b"" if where == "state_dict" else _text("state_dict") + b"}"
    form = _text("format") + _text("sdt-lava-checkpoint") if where in ("config", "version") else b""
    inside = b"}(" + _text("dim") + part + b"u" if where in ("config", "args") else part
    return b"\x80\x02}(" + form + state + _text(where) + inside + b"u."


def _small(rng: Random, part: bytes) -> bytes:
    """Return a bomb, or as often something like it that is small enough to be read."""
    count = rng.choice((1, 50, 400))
    same = (
        b"]" * count + b"a" * (count - 1),
        b"}(" + b"".join(_long(n) + b"N" for n in range(1, count + 1)) + b"u",
    )
    return rng.choice((part, *same))


# Networks


def _weight() -> np.ndarray:
    return np.full((1, 1, 1, 1), 2, np.int32)


def _conv(name: str, source: str) -> Conv:
    return Conv(name=name, inputs=(source,), weight=_weight())


def _doublings(nodes: list[Node], last: str, count: int) -> str:
    for n in range(count):
        nodes.append(Subsample(name=f"x{n}", inputs=(last,), stride=1))
        nodes.append(Shortcut(name=f"s{n}", inputs=(last, f"x{n}")))
        last = f"s{n}"
    return last


def _residual(nodes: list[Node], last: str, count: int) -> str:
    for n in range(count):
        nodes.append(Lif(name=f"l{n}", inputs=(last,), threshold=1))
        nodes.append(_conv(f"b{n}", f"l{n}"))
        nodes.append(Shortcut(name=f"s{n}", inputs=(last, f"b{n}")))
        last = f"s{n}"
    return last


def _selections(nodes: list[Node], last: str, count: int) -> str:
    for n in range(count):
        pool = MaxPool(name=f"x{n}", inputs=(last,), kernel=1, stride=1, padding=0)
        choice = Subsample(name=f"x{n}", inputs=(last,), stride=1)
        nodes.append(pool if n % 2 else choice)
        last = f"x{n}"
    return last


def _wide(nodes: list[Node], last: str, count: int) -> str:
    names = []
    for n in range(count):
        nodes.append(Lif(name=f"l{n}", inputs=(last,), threshold=1))
        nodes.append(_conv(f"b{n}", f"l{n}"))
        names.append(f"b{n}")
    nodes.append(Shortcut(name="wide", inputs=(last, *names)))
    return "wide"


def growing_network(rng: Random, path: Path) -> Path:
    """Write a network of one of the families whose forms or paths grow faster than it."""
    nodes: list[Node] = [Input(name="input", shape=(1, 1, 1)), _conv("c", "input")]
    family = rng.choice((_doublings, _doublings, _residual, _selections, _wide))
    last = family(nodes, "c", rng.choice((3, 10, 40)))
    if rng.random() < 0.3:
        nodes.append(TokenMean(name="mean", inputs=(last,), shift=rng.choice((0, 1))))
        last = "mean"
    nodes.append(Lif(name="end", inputs=(last,), threshold=1))
    save_network(Graph.build(nodes, rng.choice((1, 4))), path)
    return path
