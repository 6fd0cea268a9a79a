"""Arrays between guards: what they hold, and that leaving them ends the process."""

from __future__ import annotations

import gc
import mmap
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from sdt_lava.engine import EngineOptions
from sdt_lava.errors import ConfigError, ResourceError
from sdt_lava.support import allocation
from sdt_lava.support.allocation import (
    GUARDS,
    aligned_empty,
    current_guard,
    guarded_empty,
    guarding,
    placed,
    placed_fields,
    zeros,
)

REPOSITORY = Path(__file__).resolve().parents[2]
SHAPES = [(), (0,), (1,), (7,), (3, 5), (4096,), (2, 4097), (5, 0, 2)]


@pytest.mark.parametrize("side", GUARDS)
@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.int64])
@pytest.mark.parametrize("shape", SHAPES)
def test_one_side_lies_at_a_guard(side, dtype, shape):
    made = guarded_empty(shape, dtype, side)
    assert (made.shape, made.dtype) == (shape, dtype) and made.flags.c_contiguous
    edge = made.ctypes.data + (made.nbytes if side == "end" else 0)
    assert edge % mmap.PAGESIZE == 0
    assert made.size == 0 or set(made.tobytes()) == {0xAB}, "never zero by chance"
    made[...] = 5
    assert (made == 5).all()


# An array of one page, and of parts of pages; how far outside of it the first byte is that faults.
TOUCH = """
import ctypes, sys
import numpy as np
from sdt_lava.support.allocation import guarded_empty
size, side, offset, write = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4] == "write"
made = guarded_empty((size,), np.uint8, side)
place = (ctypes.c_uint8).from_address(made.ctypes.data + offset)
if write:
    place.value = 1
print(place.value)
"""


def touch(size: int, side: str, offset: int, way: str = "read") -> int:
    arguments = [sys.executable, "-c", TOUCH, str(size), side, str(offset), way]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    run = subprocess.run(arguments, env=environment, capture_output=True, timeout=60)
    return run.returncode


@pytest.mark.parametrize(
    ("size", "side", "offset", "way"),
    [
        (100, "end", 100, "read"),
        (100, "end", 100, "write"),
        (4096, "end", 4096, "read"),
        (4096, "end", -1, "read"),
        (100, "start", -1, "read"),
        (100, "start", -1, "write"),
        (5000, "start", 8192, "read"),
    ],
)
def test_touching_a_guard_ends_the_process(size, side, offset, way):
    assert touch(size, side, offset, way) == -signal.SIGSEGV


@pytest.mark.parametrize(("side", "offset"), [("end", 0), ("end", 99), ("start", 0)])
def test_the_array_itself_may_be_touched(side, offset):
    assert touch(100, side, offset, "write") == 0


def test_memory_is_given_back():
    def pages() -> int:
        return len(Path("/proc/self/maps").read_text().splitlines())

    before = pages()
    kept = [guarded_empty((10_000,), np.int32, "end")[3:] for _ in range(50)]
    assert pages() > before
    del kept
    gc.collect()
    assert pages() <= before + 2


def test_nothing_is_guarded_unless_asked_for():
    assert current_guard() is None
    array = np.arange(6).reshape(2, 3)
    assert placed(array) is array
    assert aligned_empty((5,), np.int32).ctypes.data % 64 == 0
    assert not zeros((3, 2), np.int32).any()


class Pair(NamedTuple):
    array: np.ndarray
    number: int


@pytest.mark.parametrize("side", GUARDS)
def test_arrays_are_placed_inside_the_block(side):
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    with guarding(side):
        assert current_guard() == side
        with guarding(None):
            assert current_guard() == side
        made = [zeros(24, np.int16), aligned_empty((2, 12), np.int16), placed(array)]
        made.append(placed_fields(Pair(array, 3)).array)
        turned = placed(array.transpose(2, 1, 0))
    assert current_guard() is None
    for copy in (*made, turned):
        assert (copy.ctypes.data + (copy.nbytes if side == "end" else 0)) % mmap.PAGESIZE == 0
    assert not made[0].any()
    assert np.array_equal(made[2], array) and np.array_equal(made[3], array)
    assert np.array_equal(turned.T, array) and turned.flags.f_contiguous


def test_an_unknown_side_is_refused():
    with pytest.raises(ConfigError, match="guard: 'both'.*'end'"):
        EngineOptions(guard="both")


def test_a_system_without_guards_is_named(monkeypatch):
    monkeypatch.setattr(allocation.os, "name", "nt")
    with pytest.raises(ConfigError, match="leave guard out"):
        EngineOptions(guard="end")
    assert EngineOptions().guard is None


def test_pages_that_the_system_refuses_are_a_typed_error(monkeypatch):
    class Library:
        def mprotect(self, *arguments):
            return -1

    monkeypatch.setattr(allocation, "_libc", Library)
    with pytest.raises(ResourceError, match="max_map_count"):
        guarded_empty((5,), np.int32, "end")
