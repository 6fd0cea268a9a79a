"""Damage to the pickles inside checkpoints: opcodes, objects and names."""

from __future__ import annotations

import builtins
import os
import pickle
import pickletools
import struct
from argparse import Namespace
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import torch

_GLOBALS = (
    b"cos\nsystem\n",
    b"cposix\nsystem\n",
    b"cbuiltins\neval\n",
    b"cbuiltins\ngetattr\n",
    b"cbuiltins\n__import__\n",
    b"csubprocess\nPopen\n",
    b"ctorch\nFloatStorage\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ctorch._utils\n_rebuild_parameter\n",
    b"ctorch.storage\n_load_from_bytes\n",
    b"ccollections\nOrderedDict\n",
    b"cargparse\nNamespace\n",
    b"cnumpy.core.multiarray\nscalar\n",
    b"cnumpy\ndtype\n",
    b"c_codecs\nencode\n",
    b"ccopyreg\n_reconstructor\n",
    b"c__main__\nx\n",
)
_OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]
_ARGUMENTS = (
    b"",
    b"\x00",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    struct.pack("<Q", 2**62),
    struct.pack("<d", float("nan")),
    b"1\n",
    b"-9999999999\n",
    b"S'x'\n",
)


class _Calls:
    """Pickles into a call of anything."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def payload(rng: Random, marker: str) -> _Calls:
    """Return an object whose pickle leaves a file behind where it is believed."""
    code = f"open({marker!r}, 'w').close()"
    return rng.choice(
        (
            _Calls(os.system, f"touch '{marker}'"),
            _Calls(eval, code),
            _Calls(exec, code),
            _Calls(open, marker, "w"),
            _Calls(getattr, _Calls(builtins.__import__, "os"), "system"),
            _Calls(pickle.loads, pickle.dumps(_Calls(exec, code))),
            _Calls(torch.load, marker),
        )
    )


def _cut_into_opcodes(content: bytes) -> list[bytes]:
    places = [place for _, _, place in pickletools.genops(content) if place is not None]
    return [content[a:b] for a, b in zip(places, [*places[1:], len(content)], strict=True)]


def damaged_pickle(rng: Random, content: bytes) -> bytes:
    """Return a pickle with opcodes taken away, put in, repeated, exchanged or changed."""
    parts = _cut_into_opcodes(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        place = rng.randrange(len(parts))
        action = rng.randrange(7)
        if action == 0:
            del parts[place]
        elif action == 1:
            parts.insert(place, parts[rng.randrange(len(parts))])
        elif action == 2:
            other = rng.randrange(len(parts))
            parts[place], parts[other] = parts[other], parts[place]
        elif action == 3:
            parts.insert(place, rng.choice(_OPCODES) + rng.choice(_ARGUMENTS))
        elif action == 4:
            parts.insert(place, rng.choice(_GLOBALS))
        elif action == 5:
            parts[place] = parts[place][:1] + rng.choice(_ARGUMENTS)
        else:
            parts[place] = b"K" + bytes([rng.randrange(256)])
        if not parts:
            return b""
    return b"".join(parts)


def random_pickle(rng: Random) -> bytes:
    """Return opcodes in any order."""
    count = rng.choice((3, 10, 40, 400))
    parts = [rng.choice(_OPCODES) + rng.choice(_ARGUMENTS) for _ in range(count)]
    parts += [rng.choice(_GLOBALS) for _ in range(count // 4)]
    rng.shuffle(parts)
    return b"\x80\x02" + b"".join(parts) + b"."


def _nested(depth: int, *, doubled: bool) -> Any:
    value: Any = [1]
    for _ in range(depth):
        value = [value, value] if doubled else [value]
    return value


def odd_value(rng: Random, marker: str) -> Any:
    """Return what a checkpoint should not hold at that place, or could."""
    return rng.choice(
        (
            lambda: None,
            lambda: True,
            lambda: rng.choice((0, -1, 1, 3, 2**31, -(2**63), 10**400)),
            lambda: rng.choice((0.0, -1.0, 1e30, float("nan"), float("inf"))),
            lambda: rng.choice(("", "digits", "lif", "\ud800", "x" * 5000, "[b]", "0011")),
            lambda: rng.choice(([], {}, (), set(), {"a": 1}, [[1], [2]], (16, 16), {1: 2})),
            lambda: _nested(50, doubled=True),
            lambda: _nested(400, doubled=False),
            lambda: b"\xff" * 20,
            lambda: np.float64(1.5),
            lambda: np.zeros(3),
            lambda: torch.zeros(rng.choice(((), (0,), (1,), (3, 3), (16, 16, 1, 1)))),
            lambda: torch.zeros(2).to(rng.choice((torch.int8, torch.float16, torch.complex64))),
            lambda: torch.full((16,), rng.choice((float("nan"), float("inf"), 1e38, -1.0))),
            lambda: torch.zeros(1).expand(2**40),
            lambda: torch.zeros(3, 3).to_sparse(),
            lambda: torch.nn.Linear(2, 2),
            lambda: Namespace(a=1, dim=3),
            lambda: payload(rng, marker),
        )
    )()


def _containers(value: Any, found: list[Any]) -> list[Any]:
    if isinstance(value, Namespace):
        value = vars(value)
    if isinstance(value, (dict, list)) and all(value is not other for other in found):
        found.append(value)
        for entry in list(value.values() if isinstance(value, dict) else value):
            _containers(entry, found)
    return found


def change_objects(rng: Random, content: dict[str, Any], marker: str) -> None:
    """Replace, remove, add or rename entries anywhere in what is to be saved."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        container = rng.choice(_containers(content, []))
        keys = list(container) if isinstance(container, dict) else list(range(len(container)))
        action = rng.randrange(5)
        if not keys or action == 0:
            value = odd_value(rng, marker)
            if isinstance(container, dict):
                container[rng.choice(("more", 5, "format", "args", "config"))] = value
            else:
                container.append(value)
            continue
        key = rng.choice(keys)
        value = container[key]
        if action == 1:
            del container[key]
        elif action == 2 and isinstance(container, dict):
            container[f"{key}{rng.choice(('x', '.weight', ''))}"] = container.pop(key)
        elif action == 3 and isinstance(value, torch.Tensor):
            container[key] = _other_tensor(rng, value)
        else:
            container[key] = odd_value(rng, marker)


def _other_tensor(rng: Random, value: torch.Tensor) -> torch.Tensor:
    fill = rng.choice((float("nan"), float("inf"), -1.0, 0.0, 1e38, -1e38, 1e-38, 1e300))
    return rng.choice(
        (
            lambda: value[None],
            lambda: value.reshape(-1)[:1],
            lambda: torch.cat([torch.atleast_1d(value)] * 2),
            lambda: value.double() * 1e30,
            lambda: value.half(),
            lambda: value.to(torch.int16),
            lambda: value.to(torch.bfloat16),
            lambda: torch.full(value.shape, fill, dtype=torch.float64),
            lambda: value * 0,
            lambda: value.transpose(0, -1) if value.ndim else value,
        )
    )()
