"""Variables of a running Lava network: right values, and waits that end."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source

from sdt_lava.backends.lava.session import LavaSession
from sdt_lava.errors import LavaRuntimeError, LavaTimeoutError
from tests.lava_networks import nothing_left_behind, run_config
from tests.left_behind import children

pytestmark = [pytest.mark.lava, pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
def _clean():
    with nothing_left_behind():
        yield


def make_recording(neurons: int, steps: int) -> tuple[Source, Sink, np.ndarray]:
    data = np.random.default_rng(0).integers(0, 2, (neurons, steps)).astype(np.int32)
    source, sink = Source(data=data), Sink(shape=(neurons,), buffer=steps)
    source.s_out.connect(sink.a_in)
    return source, sink, data


@pytest.mark.slow
def test_more_values_than_a_pipe_holds_wake_ups():
    source, sink, data = make_recording(700, 110)
    with LavaSession(source, run_config(), timeout=100) as session:
        session.run(110)
        # Wake-ups that nobody collects fill the pipe, as they do between two waits.
        os.write(session._runtime._wake_write, bytes(60_000))
        assert np.array_equal(sink.data.get(), data)
        assert np.array_equal(sink.data.get(), data)


def test_a_variable_that_was_set_is_read_back_and_runs_go_on():
    source, sink, data = make_recording(5, 8)
    with LavaSession(source, run_config(), timeout=60) as session:
        session.run(3)
        other = np.arange(40).reshape(5, 8)
        source.data.set(other)
        assert np.array_equal(source.data.get(), other)
        session.run(5)
        assert np.array_equal(sink.data.get()[:, :3], data[:, :3])
        assert np.array_equal(sink.data.get()[:, 3:], other[:, 3:])


@pytest.mark.parametrize("action", ["get", "set"])
def test_reads_and_writes_have_a_time_limit(action):
    source, sink, data = make_recording(5, 8)
    with LavaSession(source, run_config(), timeout=3) as session:
        session.run(8)
        for child in children():
            os.kill(child, signal.SIGSTOP)
        with pytest.raises(LavaTimeoutError, match="variable did not finish within 3 s"):
            sink.data.get() if action == "get" else source.data.set(data)
        with pytest.raises(LavaRuntimeError, match="not waiting for a command"):
            sink.data.get()


def test_a_process_that_dies_during_a_read_is_named():
    source, sink, _ = make_recording(5, 8)
    with LavaSession(source, run_config(), timeout=60) as session:
        session.run(8)
        for child in children():
            os.kill(child, signal.SIGKILL)
        with pytest.raises(LavaRuntimeError, match="killed by SIGKILL"):
            sink.data.get()
