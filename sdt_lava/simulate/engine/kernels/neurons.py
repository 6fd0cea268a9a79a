"""From synaptic sums to membrane, spikes and residual stream, over all time steps in one pass.

Sums, streams and states are 32-bit; states stay in registers from step to step. What a layer does
not have (no residual stream, nobody reads its currents) is a dummy array with steps of zero: its
few bytes stay in the first cache, and there is one kernel in place of eight.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from sdt_lava.compiled import compiled
from sdt_lava.numerics import ACTIVATION_SHIFT, DECAY_SHIFT, DECAY_UNITY, STATE_LIMIT
from sdt_lava.simulate.engine.kernels.vectors import (
    INT,
    INTS,
    LANES,
    PART,
    PARTS,
    WORD,
    constant,
    element,
    index,
    load,
    store,
)

# How the neurons of a layer are computed; the plan proves that the cheaper one is exact.
PROVED, WATCHED, CHECKED, GENERAL = range(4)

# Parameters of 64 channels follow one another: left and right shift of the sums, aligned bias,
# aligned threshold, and what the leaks keep of v and of u in 1/4096.
PARAMETERS = 6

_SPAN = 2 * (STATE_LIMIT + 1)


class _Lanes:
    """Integer operations on one vector, to write the neuron as in `sdt_lava.numerics`."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def larger(self, left: Any, right: Any) -> Any:
        return self.builder.select(self.builder.icmp_signed(">", left, right), left, right)

    def magnitude(self, x: Any) -> Any:
        negative = self.builder.icmp_signed("<", x, constant(0))
        return self.builder.select(negative, self.builder.neg(x), x)

    def halve(self, x: Any) -> Any:
        """Divide by two, rounding towards zero."""
        b = self.builder
        return b.ashr(b.sub(x, b.ashr(x, constant(31))), constant(1))

    def decay(self, x: Any, kept: Any) -> Any:
        """Multiply by ``kept / 4096``, rounding towards zero, without leaving 32 bits."""
        b = self.builder
        size = self.magnitude(x)
        high = b.mul(b.lshr(size, constant(DECAY_SHIFT)), kept)
        low = b.mul(b.and_(size, constant(DECAY_UNITY - 1)), kept)
        result = b.add(high, b.lshr(low, constant(DECAY_SHIFT)))
        return b.select(b.icmp_signed("<", x, constant(0)), b.neg(result), result)

    def wrap(self, x: Any) -> Any:
        b = self.builder
        above = b.icmp_signed(">", x, constant(STATE_LIMIT + 1))
        once = b.select(above, b.sub(x, constant(_SPAN)), x)
        below = b.icmp_signed("<=", once, constant(-STATE_LIMIT - 1))
        return b.select(below, b.add(x, constant(_SPAN)), once)

    def clip(self, x: Any) -> Any:
        b = self.builder
        x = b.select(b.icmp_signed(">", x, constant(STATE_LIMIT)), constant(STATE_LIMIT), x)
        low = constant(-STATE_LIMIT)
        return b.select(b.icmp_signed("<", x, low), low, x)


def _step_proved(lanes: _Lanes, x: Any, bias: Any, state: list[Any], _: Any) -> list[Any]:
    """Advance v; nothing can overflow, the leak is one half and u has no memory."""
    b = lanes.builder
    driven = b.add(b.shl(x, constant(ACTIVATION_SHIFT)), bias)
    return [b.add(lanes.halve(state[0]), driven)]


def _step_watched(lanes: _Lanes, x: Any, bias: Any, state: list[Any], _: Any) -> list[Any]:
    """Advance v like proved neurons, and note the largest values seen.

    Up to the first value out of range nothing differs from checked neurons; after it, the run is
    given up.
    """
    b = lanes.builder
    voltage, current, activation, membrane = state
    driven = b.shl(x, constant(ACTIVATION_SHIFT))
    peak = b.add(lanes.halve(voltage), b.add(driven, bias))
    activation = lanes.larger(activation, lanes.magnitude(x))
    return [peak, current, activation, lanes.larger(membrane, lanes.magnitude(peak))]


def _checked(lanes: _Lanes, x: Any, bias: Any, driven: Any, state: list[Any]) -> list[Any]:
    """Add the current to what the leak left of v, and note the largest values seen."""
    b = lanes.builder
    voltage, _, activation, membrane = state
    current = lanes.wrap(driven)
    peak = b.add(b.add(voltage, current), bias)
    activation = lanes.larger(activation, lanes.magnitude(x))
    membrane = lanes.larger(membrane, lanes.magnitude(peak))
    return [lanes.clip(peak), current, activation, membrane]


def _step_checked(lanes: _Lanes, x: Any, bias: Any, state: list[Any], _: Any) -> list[Any]:
    """Advance v, which may saturate; the leak is one half and u has no memory."""
    driven = lanes.builder.shl(x, constant(ACTIVATION_SHIFT))
    return _checked(lanes, x, bias, driven, [lanes.halve(state[0]), *state[1:]])


def _step_general(lanes: _Lanes, x: Any, bias: Any, state: list[Any], kept: Any) -> list[Any]:
    """Advance v and u with any leak."""
    b = lanes.builder
    driven = b.add(lanes.decay(state[1], kept[1]), b.shl(x, constant(ACTIVATION_SHIFT)))
    return _checked(lanes, x, bias, driven, [lanes.decay(state[0], kept[0]), *state[1:]])


def _make_advance(step: Any, states: int, arriving: Any) -> Any:
    """Build the function that advances 64 neurons over all steps, for one type of sums."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        b, lanes = builder, _Lanes(builder)
        (sums, sums_at, sums_step, parameters, channel, steps, stream, stream_at, stream_step,
         current, current_at, current_step, words, words_at, words_step, before, before_at,
         after, after_at, extremes) = range(20)  # fmt: skip

        def by_channel(row: int) -> list[Any]:
            base = element(b, arguments[parameters], index(0), INT)
            begin = b.add(b.mul(arguments[channel], index(PARAMETERS)), index(row * LANES))
            return [load(b, b.gep(base, [begin]), INTS, PART * part) for part in range(PARTS)]

        up, down, bias, threshold, kept_v, kept_u = map(by_channel, range(PARAMETERS))
        types_of = {sums: arriving, stream: INT, current: INT, words: WORD, before: INT, after: INT}
        pointers = {
            array: element(b, arguments[array], arguments[array + 1], type_)
            for array, type_ in types_of.items()
        }

        pointers[extremes] = element(b, arguments[extremes], index(0), INT)
        # Of a checked step: v and u, and the largest activation and membrane.
        homes = [(before, 0), (before, 1), (extremes, 0), (extremes, 1)]

        def remembered(part: int, state: int) -> Any:
            if states == 1:
                return constant(0)
            array, number = homes[state]
            return load(b, pointers[array], INTS, LANES * number + PART * part)

        first = [[remembered(part, state) for state in range(states)] for part in range(PARTS)]
        start = b.block
        head, body, end = (b.append_basic_block(name) for name in ("head", "body", "end"))
        b.branch(head)
        b.position_at_end(head)
        time = b.phi(WORD)
        held = [[b.phi(INTS) for _ in range(states)] for _ in range(PARTS)]
        b.cbranch(b.icmp_signed("<", time, arguments[steps]), body, end)
        b.position_at_end(body)
        here = {
            array: b.gep(pointers[array], [b.mul(time, arguments[array + 2])])
            for array in (sums, stream, current, words)
        }
        word = index(0)
        for part in range(PARTS):
            x = load(b, here[sums], ir.VectorType(arriving, PART), PART * part)
            x = x if arriving is INT else b.fptosi(x, INTS)
            x = b.ashr(b.shl(x, up[part]), down[part])
            x = b.add(x, load(b, here[stream], INTS, PART * part))
            store(b, x, here[current], PART * part)
            next_ = step(lanes, x, bias[part], held[part], (kept_v[part], kept_u[part]))
            fired = b.icmp_signed(">", next_[0], threshold[part])
            next_[0] = b.select(fired, constant(0), next_[0])
            bits = b.zext(b.bitcast(fired, ir.IntType(PART)), WORD)
            word = b.or_(word, b.shl(bits, index(PART * part)))
            for phi, initial, following in zip(held[part], first[part], next_, strict=True):
                phi.add_incoming(initial, start)
                phi.add_incoming(following, body)
        store(b, word, here[words])
        time.add_incoming(index(0), start)
        time.add_incoming(b.add(time, index(1)), body)
        b.branch(head)
        b.position_at_end(end)
        if states > 1:
            for part in range(PARTS):
                for state, (array, number) in enumerate(homes):
                    home = pointers[after if array == before else array]
                    store(b, held[part][state], home, LANES * number + PART * part)
        return context.get_dummy_value()

    @intrinsic
    def advance(
        typing: Any, sums: Any, sums_at: Any, sums_step: Any, parameters: Any, channel: Any,
        steps: Any, stream: Any, stream_at: Any, stream_step: Any, current: Any, current_at: Any,
        current_step: Any, words: Any, words_at: Any, words_step: Any, before: Any, before_at: Any,
        after: Any, after_at: Any, extremes: Any,
    ) -> Any:  # fmt: skip
        """Advance 64 neurons over all steps; ``x_step`` is the distance from step to step."""
        signature = types.void(
            sums, sums_at, sums_step, parameters, channel, steps, stream, stream_at, stream_step,
            current, current_at, current_step, words, words_at, words_step, before, before_at,
            after, after_at, extremes,
        )  # fmt: skip
        return signature, codegen

    return advance


# Elements of the state of 64 neurons (v, then u) and of their extremes (activation, membrane).
STATE = 2 * LANES


def _make_fire(arriving: Any) -> Any:
    """Build `fire` for one type of sums."""
    advance_proved = _make_advance(_step_proved, 1, arriving)
    advance_watched = _make_advance(_step_watched, 4, arriving)
    advance_checked = _make_advance(_step_checked, 4, arriving)
    advance_general = _make_advance(_step_general, 4, arriving)

    @njit(nogil=True)
    def fire(
        sums: int, sums_at: int, sums_step: int, chunk: int, row: int, column: int, neuron: int,
        targets: Any, sizes: Any, options: Any, extremes: int,
    ) -> None:  # fmt: skip
        """Advance 64 neurons of one position over all steps.

        Parameters
        ----------
        sums : address of int32 or float32
            Synaptic sums; those of the chunk start at ``sums_at`` and move on by ``sums_step``.
        chunk, row, column : int
            Which 64 channels at which position: ``row`` counts through the images of the batch.
        neuron : address of int32
            ``(chunks, PARAMETERS, 64)``.
        targets : tuple of addresses
            Residual stream read, current written (int32), spikes written (words), state before
            the first step and after the last (int32).
        sizes : tuple of int
            T, columns and chunks of the targets.
        options : tuple of int
            Whether there is a stream, a current, spikes and a state; how the neurons are computed.
        extremes : address of int32
            Collects the largest activations and membranes, 64 of each.
        """
        stream, current, words, before, after = targets
        steps, columns, chunks = sizes
        reads, writes, fires, keeps, mode = options
        step = columns * chunks
        at = (row * steps * columns + column) * chunks + chunk
        channel = chunk * LANES
        state = ((row * columns + column) * chunks + chunk) * STATE * keeps
        if mode == PROVED:
            advance_proved(
                sums, sums_at, sums_step, neuron, channel, steps,
                stream, at * LANES * reads, step * LANES * reads,
                current, at * LANES * writes, step * LANES * writes,
                words, at * fires, step * fires, before, state, after, state, extremes,
            )  # fmt: skip
        elif mode == WATCHED:
            advance_watched(
                sums, sums_at, sums_step, neuron, channel, steps,
                stream, at * LANES * reads, step * LANES * reads,
                current, at * LANES * writes, step * LANES * writes,
                words, at * fires, step * fires, before, state, after, state, extremes,
            )  # fmt: skip
        elif mode == CHECKED:
            advance_checked(
                sums, sums_at, sums_step, neuron, channel, steps,
                stream, at * LANES * reads, step * LANES * reads,
                current, at * LANES * writes, step * LANES * writes,
                words, at * fires, step * fires, before, state, after, state, extremes,
            )  # fmt: skip
        else:
            advance_general(
                sums, sums_at, sums_step, neuron, channel, steps,
                stream, at * LANES * reads, step * LANES * reads,
                current, at * LANES * writes, step * LANES * writes,
                words, at * fires, step * fires, before, state, after, state, extremes,
            )  # fmt: skip

    return fire


fire_int = _make_fire(INT)
fire_float = _make_fire(ir.FloatType())


@compiled
def fire_rows(
    sums: int, floats: bool, strides: Any, rows: Any, neuron: int, targets: Any, sizes: Any,
    options: Any, extremes: int,
) -> None:  # fmt: skip
    """Advance all neurons of some rows.

    Parameters
    ----------
    sums : address
        Synaptic sums; the channels of a position are neighbours, filled up to words.
    floats : bool
        Whether they are float32 in place of int32.
    strides : tuple of int
        Distance in ``sums`` from row to row, step to step and column to column.
    rows : tuple of int
        First row and the one after the last; ``sums`` starts with the first.
    neuron, targets, sizes, options, extremes
        As for ``fire``.
    """
    _, columns, chunks = sizes
    for row in range(rows[0], rows[1]):
        for column in range(columns):
            start = (row - rows[0]) * strides[0] + column * strides[2]
            for chunk in range(chunks):
                at = start + chunk * LANES
                if floats:
                    fire_float(
                        sums, at, strides[1], chunk, row, column, neuron, targets, sizes,
                        options, extremes,
                    )  # fmt: skip
                else:
                    fire_int(
                        sums, at, strides[1], chunk, row, column, neuron, targets, sizes,
                        options, extremes,
                    )  # fmt: skip
