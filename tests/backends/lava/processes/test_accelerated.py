"""Accelerated ProcessModels against Lava's own: same messages and variables, also at the limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lava.proc import io
from lava.proc.conv.process import Conv
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.graded.process import GradedVec
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.sparse.process import DelaySparse, Sparse
from lava.utils.weightutils import SignMode
from scipy.sparse import csr_matrix

from sdt_lava.backends.lava.processes.accelerated import ACCELERATED_MODELS
from sdt_lava.backends.lava.processes.accelerated.sparse import split_by_delay
from sdt_lava.backends.lava.processes.run_config import run_config
from sdt_lava.backends.lava.session import EXECUTORS, LavaSession
from sdt_lava.errors import LavaRuntimeError
from tests.backends.lava.processes.one_process import assert_same, run_process

pytestmark = pytest.mark.lava

INT32 = np.iinfo(np.int32)
STEPS = 6
SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=25, deadline=None)


def payloads(rng: np.random.Generator, shape: tuple[int, ...], limit: int) -> np.ndarray:
    """Messages of which a third is 0, and some are as large as possible."""
    values = rng.integers(-limit, limit, shape, endpoint=True)
    values[rng.random(shape) < 0.3] = 0
    values[rng.random(shape) < 0.1] = limit
    return np.clip(values, INT32.min, INT32.max).astype(np.int32)


LIMITS = st.sampled_from([1, 100, 2**17, 2**23, 2**31])


# -- neurons -----------------------------------------------------------------------------------


def lif_fields(rng: np.random.Generator, size: int, by_neuron: bool) -> dict:
    def decay() -> object:
        values = rng.choice([0, 1, 128, 2048, 4094, 4095], size if by_neuron else 1)
        return values if by_neuron else int(values[0])

    return {
        "du": decay(),
        "dv": decay(),
        "vth": int(rng.choice([0, 1, 60, 131071, 2**24])),
        "bias_mant": rng.integers(-(2**15), 2**15, size),
        "bias_exp": rng.integers(-3, 12, size) if by_neuron else int(rng.integers(0, 8)),
    }


@FEW
@given(seed=SEEDS, limit=LIMITS, by_neuron=st.booleans(), sources=st.integers(1, 3))
def test_lif(seed, limit, by_neuron, sources):
    rng = np.random.default_rng(seed)
    fields = lif_fields(rng, 7, by_neuron)
    start = {name: rng.integers(-(2**23), 2**23, 7) for name in "uv"}

    def make():
        process = LIF(shape=(7,), **fields, **start)
        return process, process.a_in, process.s_out

    messages = [payloads(rng, (STEPS, 7), limit) for _ in range(sources)]
    assert_same(make, messages, "u", "v")


@FEW
@given(
    seed=SEEDS,
    limit=LIMITS,
    interval=st.integers(1, 5),
    offset=st.integers(0, 9),
    deep=st.booleans(),
)
def test_lif_reset(seed, limit, interval, offset, deep):
    rng = np.random.default_rng(seed)
    shape = (3, 2, 2) if deep else (12,)
    fields = lif_fields(rng, 12, by_neuron=False)
    fields["bias_mant"] = fields["bias_mant"].reshape(shape)

    def make():
        process = LIFReset(shape=shape, reset_interval=interval, reset_offset=offset, **fields)
        return process, process.a_in, process.s_out

    assert_same(make, [payloads(rng, (STEPS, *shape), limit)], "u", "v")


def test_lif_with_every_activation_at_the_edge_of_the_current():
    """u wraps at 2^23, in one direction only: Lava keeps +2^23 and not -2^23."""
    edges = [131071, 131072, 131073, -131071, -131072, -131073, 2**25, -(2**25), 2**26, 0]
    messages = np.array([edges] * STEPS, np.int32)

    def make():
        process = LIF(shape=(10,), du=0, dv=0, vth=131071)
        return process, process.a_in, process.s_out

    assert assert_same(make, [messages], "u", "v").any()


@FEW
@given(seed=SEEDS, limit=LIMITS, threshold=st.sampled_from([0, 1, 500, 2**31 - 1]))
def test_graded_vec(seed, limit, threshold):
    rng = np.random.default_rng(seed)

    def make():
        process = GradedVec(shape=(9,), vth=threshold)
        return process, process.a_in, process.s_out

    messages = [payloads(rng, (STEPS, 9), limit) for _ in range(2)]
    messages[0][0, 0] = INT32.min  # whose magnitude is itself
    messages[1][0, 0] = 0
    assert_same(make, messages, "v")


def test_thresholds_by_neuron_take_the_fast_path_too():
    rng = np.random.default_rng(1)

    def make():
        process = LIF(shape=(50,), du=4095, dv=2048, vth=np.arange(50) * 40)
        return process, process.a_in, process.s_out

    sent = assert_same(make, [payloads(rng, (STEPS, 50), 2000)], "u", "v")
    assert 0 < sent.mean() < 1


# -- connections -------------------------------------------------------------------------------

CONNECTIONS = {
    "seed": SEEDS,
    "limit": st.sampled_from([1, 300, 2**24, 2**31]),
    "bits": st.sampled_from([0, 1, 24]),
    "exponent": st.sampled_from([0, 0, 3, 7, 40, -1, -4, -40]),
    "spread": st.sampled_from([20, 255, 400]),
    "sign": st.sampled_from([None, 1, -1]),
    "weight_bits": st.sampled_from([8, 8, 5, 1]),
}


def signed(weights: np.ndarray, sign: int | None) -> np.ndarray:
    return weights if sign is None else sign * np.abs(weights)


def connection_fields(bits: int, exponent: int, weight_bits: int) -> dict:
    return {"num_message_bits": bits, "weight_exp": exponent, "num_weight_bits": weight_bits}


@FEW
@given(**CONNECTIONS)
def test_dense(seed, limit, bits, exponent, spread, sign, weight_bits):
    rng = np.random.default_rng(seed)
    weights = signed(rng.integers(-spread, spread + 1, (5, 8)), sign)

    def make():
        process = Dense(weights=weights, **connection_fields(bits, exponent, weight_bits))
        return process, process.s_in, process.a_out

    assert_same(make, [payloads(rng, (STEPS, 8), limit)], "a_buff", "weights")


@FEW
@given(**CONNECTIONS)
def test_sparse(seed, limit, bits, exponent, spread, sign, weight_bits):
    rng = np.random.default_rng(seed)
    weights = signed(rng.integers(-spread, spread + 1, (6, 9)) * (rng.random((6, 9)) < 0.5), sign)
    weights[0, 0] = spread

    def make():
        fields = connection_fields(bits, exponent, weight_bits)
        process = Sparse(weights=csr_matrix(weights), **fields)
        return process, process.s_in, process.a_out

    assert_same(make, [payloads(rng, (STEPS, 9), limit)], "a_buff")


@pytest.mark.parametrize("mode", SignMode)
def test_a_sign_mode_that_is_given(mode):
    rng = np.random.default_rng(2)
    weights = rng.integers(-300, 301, (6, 9))
    for kind, matrix in ((Dense, weights), (Sparse, csr_matrix(weights))):

        def make(kind=kind, matrix=matrix):
            process = kind(weights=matrix, sign_mode=mode, num_message_bits=24)
            return process, process.s_in, process.a_out

        assert assert_same(make, [payloads(rng, (STEPS, 9), 100)]).any() or mode is SignMode.NULL


@FEW
@given(**CONNECTIONS, uniform=st.booleans(), more=st.integers(0, 3))
def test_delay_dense(seed, limit, bits, exponent, spread, sign, weight_bits, uniform, more):
    rng = np.random.default_rng(seed)
    weights = signed(rng.integers(-spread, spread + 1, (4, 6)), sign)
    delays = int(rng.integers(0, 6)) if uniform else rng.integers(0, 4, (4, 6))
    longest = int(np.max(delays)) + more

    def make():
        fields = connection_fields(bits, exponent, weight_bits)
        process = DelayDense(weights=weights, delays=delays, max_delay=longest, **fields)
        return process, process.s_in, process.a_out

    assert_same(make, [payloads(rng, (3 * STEPS, 6), limit)], "a_buff", "weights")


@FEW
@given(**CONNECTIONS, uniform=st.booleans(), more=st.integers(0, 3))
def test_delay_sparse(seed, limit, bits, exponent, spread, sign, weight_bits, uniform, more):
    rng = np.random.default_rng(seed)
    weights = signed(rng.integers(-spread, spread + 1, (5, 7)), sign)
    weights = csr_matrix(weights * (rng.random((5, 7)) < 0.6))
    delays = weights.astype(int)
    delays.data[:] = 3 if uniform else rng.integers(0, 4, delays.nnz)
    longest = int(delays.max()) + more

    def make():
        fields = connection_fields(bits, exponent, weight_bits)
        process = DelaySparse(weights=weights, delays=delays, max_delay=longest, **fields)
        return process, process.s_in, process.a_out

    assert_same(make, [payloads(rng, (3 * STEPS, 7), limit)], "a_buff")


def test_synapses_without_a_delay_entry_have_none():
    weights = csr_matrix(np.array([[2, 4], [0, 6]]))
    delays = csr_matrix(np.array([[0, 3], [5, 0]]))
    parts = {delay: part.toarray().tolist() for delay, part in split_by_delay(weights, delays, 3)}
    assert parts == {0: [[2, 0], [0, 6]], 3: [[0, 4], [0, 0]]}
    assert split_by_delay(weights, delays, 2)[-1][0] == 0


@pytest.mark.parametrize("models", ["lava", "accelerated"])
@pytest.mark.parametrize("kind", [DelayDense, DelaySparse])
def test_a_delay_that_the_hardware_does_not_have(models, kind):
    weights = np.array([[2, 4]])
    delays = np.array([[0, 64]])
    if kind is DelaySparse:
        weights, delays = csr_matrix(weights), csr_matrix(delays)

    def make():
        process = kind(weights=weights, delays=delays, name="late")
        return process, process.s_in, process.a_out

    with pytest.raises(LavaRuntimeError, match="'late'.*values between 0 and 63"):
        run_process(make, [np.ones((2, 2), np.int32)], models)


@FEW
@given(
    seed=SEEDS,
    limit=st.sampled_from([1, 255, 2**23, 2**31]),
    bits=st.sampled_from([0, 24]),
    spread=st.sampled_from([254, 2**16, 2**24]),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    groups=st.integers(1, 3),
)
def test_conv(seed, limit, bits, spread, size, kernel, stride, padding, dilation, groups):
    rng = np.random.default_rng(seed)
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    size = tuple(max(s, r - 2 * p) for s, r, p in zip(size, reach, padding, strict=True))
    shape = (*size, 2 * groups)
    weight = rng.integers(-spread, spread + 1, (3 * groups, *kernel, 2))
    window = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}

    def make():
        process = Conv(weight=weight, input_shape=shape, num_message_bits=bits, **window)
        return process, process.s_in, process.a_out

    assert_same(make, [payloads(rng, (4, *shape), limit)], "a_buf")


def test_no_message_at_all():
    weights = np.zeros((3, 4), int)
    silence = [np.zeros((3, 4), np.int32)]
    for kind, matrix in ((Dense, weights), (Sparse, csr_matrix(weights))):

        def make(kind=kind, matrix=matrix):
            process = kind(weights=matrix)
            return process, process.s_in, process.a_out

        assert not assert_same(make, silence).any()


# -- variables set between runs ----------------------------------------------------------------


def test_variables_that_are_set_take_effect():
    rng = np.random.default_rng(3)
    events = (rng.random((8, 5)) < 0.5).astype(np.int32)
    weights = rng.integers(-100, 100, (2, 4, 5)) * 2

    def run(models: str) -> np.ndarray:
        source = io.source.RingBuffer(data=events.T)
        dense = Dense(weights=weights[0])
        lif = LIF(shape=(4,), du=4095, dv=0, vth=100, bias_mant=3, bias_exp=6)
        sink = io.sink.RingBuffer(shape=(4,), buffer=8)
        source.s_out.connect(dense.s_in)
        dense.a_out.connect(lif.a_in)
        lif.s_out.connect(sink.a_in)
        with LavaSession(source, run_config(models), executor="in-process") as session:
            session.run(4)
            dense.weights.set(weights[1])
            lif.bias_mant.set(np.array([40, -40, 0, 7]))
            lif.dv.set(np.array([2048]))
            session.run(4)
            return np.concatenate([sink.data.get().ravel(), lif.v.get(), dense.a_buff.get()])

    expected = run("lava")
    assert np.array_equal(expected, run("accelerated"))
    assert expected.any()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_delayed_sums_that_are_set_arrive(executor):
    rng = np.random.default_rng(5)
    events = (rng.random((6, 5)) < 0.5).astype(np.int32)
    weights, delays = rng.integers(-100, 100, (4, 5)) * 2, rng.integers(0, 3, (4, 5))

    def run(models: str) -> np.ndarray:
        source = io.source.RingBuffer(data=events.T)
        dense = DelayDense(weights=weights, delays=delays)
        sink = io.sink.RingBuffer(shape=(4,), buffer=6)
        source.s_out.connect(dense.s_in)
        dense.a_out.connect(sink.a_in)
        with LavaSession(source, run_config(models), executor=executor) as session:
            session.run(2)
            dense.a_buff.set(np.arange(12).reshape(4, 3))
            session.run(4)
            return np.concatenate([sink.data.get().ravel(), dense.a_buff.get().ravel()])

    expected = run("lava")
    assert np.array_equal(expected, run("accelerated"))
    assert expected.any()


def test_variables_that_another_process_writes_take_effect():
    """Lava's VarPorts set an attribute of the model, and call nothing."""
    rng = np.random.default_rng(4)
    events = (rng.random((9, 5)) < 0.5).astype(np.int32)
    written = {
        Dense: {"weights": rng.integers(-100, 100, (4, 5)) * 2},
        LIF: {"v": np.array([1, -5000, 70_000, 3], np.int32), "vth": 7, "du": 0},
        GradedVec: {"vth": np.array([40], np.int32)},
    }

    def run(models: str) -> np.ndarray:
        source, sink = io.source.RingBuffer(data=events.T), io.sink.RingBuffer(shape=(4,), buffer=9)
        dense = Dense(weights=np.full((4, 5), 8), num_message_bits=24)
        relay, lif = GradedVec(shape=(4,), vth=0), LIF(shape=(4,), du=4095, dv=0, vth=100)
        identity = Sparse(weights=csr_matrix(np.eye(4, dtype=int) * 2), num_message_bits=24)
        for out_port, in_port in [
            (source.s_out, dense.s_in), (dense.a_out, relay.a_in), (relay.s_out, identity.s_in),
            (identity.a_out, lif.a_in), (lif.s_out, sink.a_in),
        ]:  # fmt: skip
            out_port.connect(in_port)
        with LavaSession(source, run_config(models), executor="in-process") as session:
            session.run(4)
            for model in session._runtime._models:
                for name, value in written.get(model.implements_process, {}).items():
                    setattr(model, name, np.array(value) if np.ndim(value) else value)
            session.run(5)
            return np.concatenate([sink.data.get().ravel(), lif.v.get(), lif.u.get()])

    expected = run("lava")
    assert np.array_equal(expected, run("accelerated"))
    assert expected.any()


def test_every_process_that_networks_are_made_of_is_accelerated():
    from sdt_lava.backends.lava.processes.host_io import SpikeRecorder

    standard = {LIF, LIFReset, GradedVec, Sparse, DelaySparse, Dense, DelayDense, Conv}
    assert set(ACCELERATED_MODELS) == standard | {SpikeRecorder}
