"""Generate LLVM instructions for integer vectors, loops and memory access.

Numba compiles loops over arrays well, but keeps neither accumulators nor masks in registers. Where
this matters, a function is a short sequence of vector operations, which LLVM lowers to the vectors
of the processor.

Arrays are passed as the address of their first element and an index. Numba counts references to
arrays whenever they are passed, which takes longer than the work in inner loops. The caller must
keep the arrays alive and large enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

BYTE, SHORT, INT, WORD = (ir.IntType(bits) for bits in (8, 16, 32, 64))
SHORT_BYTES, INT_BYTES, WORD_BYTES = 2, 4, 8
# Number of 32-bit values processed together: one AVX-512 register.
PART = 16
INTS = ir.VectorType(INT, PART)


def constant(value: int, type_: ir.VectorType = INTS) -> ir.Constant:
    """Return a vector of equal constants."""
    return ir.Constant(type_, [value] * type_.count)


def index(value: int) -> ir.Constant:
    """Return a 64-bit constant."""
    return ir.Constant(WORD, value)


def element(builder: Any, address: Any, at: Any, type_: Any) -> Any:
    """Return a pointer to an element of an array with a 64-bit address."""
    return builder.gep(builder.inttoptr(address, type_.as_pointer()), [at])


def load(builder: Any, pointer: Any, type_: Any, offset: int = 0) -> Any:
    """Load a vector of any alignment."""
    place = builder.gep(pointer, [index(offset)])
    return builder.load(builder.bitcast(place, type_.as_pointer()), align=1)


def load_first(builder: Any, pointer: Any, count: Any) -> Any:
    """Load the first ``count`` of PART 32-bit values, with zeros for the others.

    Memory after them is not accessed.
    """
    place = builder.bitcast(pointer, INTS.as_pointer())
    arguments = place, _first(builder, count), constant(0)
    types = [argument.type for argument in arguments]
    read = external(builder, "llvm.masked.load.v16i32.p0", INTS, types)
    return builder.call(read, arguments)


def store_first(builder: Any, vector: Any, pointer: Any, count: Any) -> None:
    """Store the first ``count`` of PART 32-bit values; memory after them is not accessed."""
    place = builder.bitcast(pointer, INTS.as_pointer())
    arguments = vector, place, _first(builder, count)
    types = [argument.type for argument in arguments]
    write = external(builder, "llvm.masked.store.v16i32.p0", ir.VoidType(), types)
    builder.call(write, arguments)


def _first(builder: Any, count: Any) -> Any:
    """Return a mask of the first ``count`` of PART lanes."""
    limit = everywhere(builder, builder.trunc(count, INT), INTS)
    return builder.icmp_signed("<", ir.Constant(INTS, list(range(PART))), limit)


def store(builder: Any, vector: Any, pointer: Any, offset: int = 0) -> None:
    """Store a vector of any alignment."""
    place = builder.gep(pointer, [index(offset)])
    builder.store(vector, builder.bitcast(place, vector.type.as_pointer()), align=1)


def external(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """Return an LLVM or processor function by name."""
    module = builder.module
    function = module.globals.get(name)
    return function or ir.Function(module, ir.FunctionType(result, arguments), name)


def shuffle(builder: Any, left: Any, right: Any, order: list[int]) -> Any:
    """Select elements of two vectors."""
    mask = ir.Constant(ir.VectorType(INT, len(order)), order)
    return builder.shuffle_vector(left, right, mask)


class Loop:
    """A loop under construction, with its counter and loop-carried values."""

    def __init__(self, builder: Any, head: Any, start: Any) -> None:
        self._builder, self._head, self._start = builder, head, start
        self.number = self.carried(index(0))

    def carried(self, initial: Any) -> Any:
        """Return a value that is `initial` in the first iteration and later set by `carry`."""
        with self._builder.goto_block(self._head):
            self._builder.position_at_start(self._head)
            phi = self._builder.phi(initial.type)
        phi.add_incoming(initial, self._start)
        return phi

    def carry(self, phi: Any, value: Any) -> None:
        """Set a carried value for the next iteration, at the end of the body."""
        phi.add_incoming(value, self._builder.block)


@contextmanager
def counting(builder: Any, count: Any, by: int = 1) -> Iterator[Loop]:
    """Generate a loop over 0, ``by``, ... below ``count``; the context generates its body."""
    start = builder.block
    head, body, end = (builder.append_basic_block(name) for name in ("head", "body", "end"))
    builder.branch(head)
    builder.position_at_end(head)
    loop = Loop(builder, head, start)
    builder.cbranch(builder.icmp_signed("<", loop.number, count), body, end)
    builder.position_at_end(body)
    yield loop
    loop.carry(loop.number, builder.add(loop.number, index(by)))
    builder.branch(head)
    builder.position_at_end(end)


def everywhere(builder: Any, value: Any, type_: ir.VectorType) -> Any:
    """Return a vector with a value in all elements."""
    first = builder.insert_element(ir.Constant(type_, None), value, ir.Constant(INT, 0))
    return shuffle(builder, first, first, [0] * type_.count)
