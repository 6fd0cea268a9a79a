"""Compute membranes, spikes and residual streams from synaptic sums, over all time steps at once.

Sums, streams and states have 32 bits; states stay in registers between steps. Signals that a layer
does not have, such as a residual stream or a current that is read, are dummy arrays with strides of
zero. Their few bytes stay in the first cache, and one kernel is enough instead of eight. Only
layers without any of them, which are the majority, have a form of their own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from llvmlite import ir
from numba import njit, types
from numba.core.cgutils import unpack_tuple
from numba.extending import intrinsic

from sdt_lava.kernels.jit import jit
from sdt_lava.kernels.lif import FORMS, Form, Lanes, LifVectors
from sdt_lava.kernels.llvm import (
    INT,
    INT_BYTES,
    INTS,
    PART,
    WORD,
    WORD_BYTES,
    constant,
    counting,
    element,
    index,
    load,
    store,
)
from sdt_lava.kernels.words import HALF, LANES

# Parameters for 64 channels: left and right shift of the sums, aligned bias, aligned threshold, and
# remainders of v and u after the leak in 1/4096. In a leaky form, the last two are the factor and
# right shift of v's leak. In a bare form, the left shift also aligns sums.
PARAMETERS = 6

# Half a word advances at once: two vectors hide each other's latency, and layers with few channels
# do not compute a whole word.
_VECTORS = HALF // PART

# Elements of the state of 64 neurons (v, then u) and of their extremes (activation, membrane).
STATE = 2 * LANES


class FireArguments(NamedTuple):
    """Parameters and outputs of a layer's neurons, for one worker.

    Parameters
    ----------
    neuron : address of int32
        Parameters ``(chunks, PARAMETERS, 64)`` of the neurons.
    stream, current : address of int32
        Residual stream that is read, and the current that is written.
    words : address of uint64
        Spikes that are written.
    before, after : address of int32
        States before the first step and after the last.
    extremes : address of int32
        Largest activations and membranes so far, 64 of each; updated.
    steps, columns, chunks : int
        T, W and words of the outputs.
    halves : int
        Number of half words that contain channels.
    reads, writes, fires, keeps : int
        1 if there are a stream, a current, spikes and a state; otherwise 0.
    form : int
        Index of the neurons' form in :data:`~sdt_lava.kernels.lif.FORMS`.
    """

    neuron: int
    stream: int
    current: int
    words: int
    before: int
    after: int
    extremes: int
    steps: int
    columns: int
    chunks: int
    halves: int
    reads: int
    writes: int
    fires: int
    keeps: int
    form: int


class SumArray(NamedTuple):
    """Synaptic sums ``(rows, T, W, channels)`` in any order in memory, with adjacent channels.

    Parameters
    ----------
    address : address of int32 or float32
        The array.
    first : int
        Number of the first row, counted through all images.
    row, step, column : int
        Distances from row to row, step to step and column to column.
    """

    address: int
    first: int
    row: int
    step: int
    column: int


class _AdvanceArguments(NamedTuple):
    """Addresses of the first neuron's elements at the first step, and distances of steps."""

    sums: int
    sums_step: int
    parameters: int
    steps: int
    stream: int
    stream_step: int
    current: int
    current_step: int
    words: int
    words_step: int
    before: int
    after: int
    extremes: int
    halves: int
    form: int


_ARRAYS = ("sums", "parameters", "stream", "current", "words", "before", "after", "extremes")


class _Advance:
    """Generator of the instructions that advance up to 64 neurons over all steps, in one form."""

    def __init__(self, builder: Any, form: Form, arriving: Any, given: _AdvanceArguments) -> None:
        self.builder, self.form, self.arriving = builder, form, arriving
        self.lanes = Lanes(builder)
        self.given = given
        types_of = dict.fromkeys(_ARRAYS, INT) | {"sums": arriving, "words": WORD}
        self.arrays = {
            name: element(builder, getattr(given, name), index(0), type_)
            for name, type_ in types_of.items()
        }

    def write(self) -> None:
        """Generate the loop over the halves of the word."""
        with counting(self.builder, self.given.halves) as loop:
            self._advance_half(loop.number)

    def _advance_half(self, half: Any) -> None:
        b, lane = self.builder, self.builder.mul(half, index(HALF))
        parameters = [self._vectors("parameters", lane, row) for row in range(PARAMETERS)]
        homes = self._homes("before")
        first = [self._vectors(array, lane, row) for array, row in homes]
        with counting(b, self.given.steps) as loop:
            state_vectors = [
                [loop.carried(value) for value in vectors]
                for vectors in first or [[constant(0)] * _VECTORS]
            ]
            after = self._advance_step(loop.number, half, lane, parameters, state_vectors)
            for vectors, values in zip(state_vectors, after, strict=True):
                for phi, value in zip(vectors, values, strict=True):
                    loop.carry(phi, value)
        for vectors, (array, row) in zip(
            state_vectors[: len(homes)], self._homes("after"), strict=True
        ):
            target = b.gep(self.arrays[array], [lane])
            for part, value in enumerate(vectors):
                store(b, value, target, row * LANES + part * PART)

    def _homes(self, state: str) -> list[tuple[str, int]]:
        """Return the arrays and rows with the states of checked neurons; others start from rest."""
        if self.form.states == 1:
            return []
        return [(state, 0), (state, 1), ("extremes", 0), ("extremes", 1)]

    def _vectors(self, array: str, lane: Any, row: int) -> list[Any]:
        base = self.builder.gep(self.arrays[array], [lane])
        return [
            load(self.builder, base, INTS, row * LANES + part * PART) for part in range(_VECTORS)
        ]

    def _at_step(self, array: str, time: Any, lane: Any) -> Any:
        b = self.builder
        distance = b.mul(time, getattr(self.given, f"{array}_step"))
        return b.gep(self.arrays[array], [b.add(distance, lane)])

    def _advance_step(
        self, time: Any, half: Any, lane: Any, parameters: list[list[Any]], held: list[list[Any]]
    ) -> list[list[Any]]:
        """Generate one step, store its output and return the new states."""
        b = self.builder
        places = [self._at_step(array, time, lane) for array in ("sums", "stream", "current")]
        after: list[list[Any]] = [[] for _ in held]
        bits = b.zext(ir.Constant(INT, 0), WORD)
        for part in range(_VECTORS):
            x, neuron = self._arriving_current(part, places, parameters)
            states = [vectors[part] for vectors in held]
            states, fired = self.form.fire(self.lanes, x, neuron, states)
            fired_bits = b.zext(b.bitcast(fired, ir.IntType(PART)), WORD)
            bits = b.or_(bits, b.shl(fired_bits, index(PART * part)))
            for vectors, value in zip(after, states, strict=True):
                vectors.append(value)
        self._store_bits(bits, time, half)
        return after

    def _arriving_current(
        self, part: int, places: list[Any], parameters: list[list[Any]]
    ) -> tuple[Any, LifVectors]:
        """Scale the sums, add the stream, and return the current and the neurons' parameters."""
        b = self.builder
        sums, stream, current = places
        up, down, *neuron = (row[part] for row in parameters)
        x = load(b, sums, ir.VectorType(self.arriving, PART), PART * part)
        x = b.shl(x if self.arriving is INT else b.fptosi(x, INTS), up)
        if not self.form.is_bare:
            x = b.add(b.ashr(x, down), load(b, stream, INTS, PART * part))
            store(b, x, current, PART * part)
        return x, LifVectors(*neuron)

    def _store_bits(self, bits: Any, time: Any, half: Any) -> None:
        """Store half a word; the lower half clears the upper one, which may not be computed."""
        b = self.builder
        place = self._at_step("words", time, index(0))
        lower = b.icmp_signed("==", half, index(0))
        previous = b.select(lower, index(0), b.load(place))
        b.store(b.or_(previous, b.shl(bits, b.mul(half, index(HALF)))), place)


def _make_advance(arriving: Any) -> Any:
    """Build the function that advances up to 64 neurons for one type of sums."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        addresses = _AdvanceArguments(*unpack_tuple(builder, arguments[0]))
        end = builder.append_basic_block("end")
        unknown = builder.append_basic_block("unknown")
        choice = builder.switch(addresses.form, unknown)
        builder.position_at_end(unknown)
        builder.branch(end)
        for number, (name, form) in enumerate(FORMS.items()):
            block = builder.append_basic_block(name)
            choice.add_case(number, block)
            builder.position_at_end(block)
            _Advance(builder, form, arriving, addresses).write()
            builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    @intrinsic
    def advance(typing: Any, arguments: Any) -> Any:
        """Advance 32 or 64 neurons over all steps."""
        return types.void(arguments), codegen

    return advance


def _make_fire(arriving: Any) -> Any:
    """Build `fire_chunk` for one type of sums."""
    advance = _make_advance(arriving)

    @njit(nogil=True)
    def fire_chunk(sums: int, sums_step: int, chunk: int, row: int, column: int, fire: Any) -> None:
        """Advance 64 neurons of one position over all steps.

        Parameters
        ----------
        sums : address of int32 or float32
            Synaptic sums of the chunk at the first step.
        sums_step : int
            Distance of steps.
        chunk, row, column : int
            Group of 64 channels and position; rows are numbered through all images of the batch.
        fire : FireArguments
            Parameters and outputs of the neurons.
        """
        step = fire.columns * fire.chunks
        at = (row * fire.steps * fire.columns + column) * fire.chunks + chunk
        state = ((row * fire.columns + column) * fire.chunks + chunk) * STATE * fire.keeps
        lanes_read, lanes_written = LANES * fire.reads, LANES * fire.writes
        advance(
            _AdvanceArguments(
                sums=sums,
                sums_step=sums_step,
                parameters=fire.neuron + chunk * PARAMETERS * LANES * INT_BYTES,
                steps=fire.steps,
                stream=fire.stream + at * lanes_read * INT_BYTES,
                stream_step=step * lanes_read,
                current=fire.current + at * lanes_written * INT_BYTES,
                current_step=step * lanes_written,
                words=fire.words + at * fire.fires * WORD_BYTES,
                words_step=step * fire.fires,
                before=fire.before + state * INT_BYTES,
                after=fire.after + state * INT_BYTES,
                extremes=fire.extremes,
                halves=min(fire.halves - 2 * chunk, 2),
                form=fire.form,
            )
        )

    return fire_chunk


fire_int = _make_fire(INT)
fire_float = _make_fire(ir.FloatType())


@jit
def fire_rows(sums: SumArray, floats: bool, rows: tuple[int, int], fire: FireArguments) -> None:
    """Advance all neurons of some rows.

    Parameters
    ----------
    sums : SumArray
        Sums, with channels padded to whole words.
    floats : bool
        Whether they are float32 instead of int32.
    rows : tuple of int
        First row and the one after the last.
    fire : FireArguments
        Parameters and outputs of the neurons.
    """
    first, end = rows
    for row in range(first, end):
        for column in range(fire.columns):
            start = (row - sums.first) * sums.row + column * sums.column
            for chunk in range(fire.chunks):
                # Both types have four bytes.
                place = sums.address + (start + chunk * LANES) * INT_BYTES
                if floats:
                    fire_float(place, sums.step, chunk, row, column, fire)
                else:
                    fire_int(place, sums.step, chunk, row, column, fire)
