"""Threads of a run: none is left behind, and none writes to memory that another run uses."""

from __future__ import annotations

import ctypes
import signal
import threading
import time

import numpy as np
import pytest

import sdt_lava
from sdt_lava.engine import Engine, EngineOptions, RunRequest
from sdt_lava.engine.plan.buffers import Run
from sdt_lava.engine.plan.memory import pieces
from sdt_lava.engine.plan.team import Step, work_through
from sdt_lava.errors import ConfigError
from sdt_lava.ir import Dense, Graph, Input, Lif
from tests.engine.layers import always_threads
from tests.graphs import random_frames, random_sdt_graph


def helpers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("engine-")]


def steps_of(*tasks, waits=False, workers=2, number=50) -> list[Step]:
    """Return steps of many short pieces, of which a task sees the numbers."""
    shares = tuple(tuple((n, n + 1) for n in range(number)) for _ in range(workers))
    return [Step(None, task, waits, shares) for task in tasks]


@pytest.fixture
def alarm():
    """Raise KeyboardInterrupt again and again, as from somebody who keeps Ctrl-C pressed."""

    def handler(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handler)
    yield lambda first: signal.setitimer(signal.ITIMER_REAL, first, 0.01)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("slow", [0, 1])
def test_an_interruption_stops_all_before_it_is_raised(alarm, slow, waits):
    done = []

    def task(rows, worker):
        if worker == slow:
            time.sleep(0.02)
        done.append((rows, worker))

    memory = object()
    with pytest.raises(KeyboardInterrupt):
        alarm(0.1)
        try:
            work_through(steps_of(task, task, waits=waits), 2, memory)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            alive, number = helpers(), len(done)
    assert not alive
    time.sleep(0.1)
    assert len(done) == number < 200


@pytest.mark.parametrize("where", [0, 1, 2])
def test_an_exception_of_a_thread_stops_all(where):
    def task(rows, worker):
        time.sleep(0.001)
        if worker == where and rows[0] == 3:
            raise LookupError(worker)

    with pytest.raises(LookupError, match=str(where)):
        work_through(steps_of(task, task, waits=True, workers=3), 3, None)
    assert not helpers()


def test_an_exception_from_another_thread():
    """Debuggers and test runners put exceptions into a thread; there are no signals there."""
    stopped, ended = [], []

    def task(rows, worker):
        time.sleep(0.01)
        ended.append(worker)

    def run():
        try:
            work_through(steps_of(task), 2, None)
        except KeyboardInterrupt:
            stopped.append(len(helpers()))

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.1)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(KeyboardInterrupt)
    )
    thread.join(20)
    assert stopped == [0] and len(ended) < 100


def test_threads_that_the_system_does_not_start(monkeypatch):
    start = threading.Thread.start

    def refuse(thread):
        if thread.name == "engine-2":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(ConfigError, match="threads: 4, of which the system starts 2"):
        work_through(steps_of(lambda rows, worker: None, workers=4), 4, None)
    assert not helpers()


def test_pieces_are_all_rows_in_order():
    graph = random_sdt_graph(np.random.default_rng(0), image=(2, 6, 6), channels=8)
    for operation in Engine(graph).plan().operations:
        for macs in (0, 10**6, 10**9, 10**12):
            operation.macs = macs
            for workers in (1, 2, 3):
                run = Run(5, 4, 4, workers)
                cut = [
                    piece for worker in range(workers) for piece in pieces(operation, worker, run)
                ]
                rows = [row for first, end in cut for row in range(first, end)]
                assert rows == list(range(5 * operation.target.height))


def dense_chain(rng, size=700, layers=4) -> Graph:
    """One row for each sample: of two workers one has nothing to do, and waits."""
    nodes, last = [Input(name="input", shape=(size,))], "input"
    for number in range(layers):
        weight = rng.integers(-100, 100, (size, size)).astype(np.int16)
        nodes += [Dense(name=f"d{number}", inputs=(last,), weight=weight)]
        nodes += [Lif(name=f"l{number}", inputs=(f"d{number}",), threshold=0)]
        last = f"l{number}"
    return Graph.build(nodes, 16)


@pytest.mark.parametrize("samples", [1, 3])
def test_the_run_after_an_interruption(alarm, monkeypatch, samples):
    always_threads(monkeypatch)
    rng = np.random.default_rng(samples)
    net = dense_chain(rng)
    busy, quiet = ((rng.random((samples, 16, 700)) < rate).astype(np.uint8) for rate in (0.5, 0.1))
    want = sdt_lava.simulate(net, quiet, "engine", threads=1, strict=False)
    started = time.perf_counter()
    sdt_lava.simulate(net, busy, "engine", threads=2, strict=False)
    longest = time.perf_counter() - started
    started = time.perf_counter()
    sdt_lava.simulate(net, busy, "engine", threads=2, strict=False)
    takes = min(longest, time.perf_counter() - started)
    interrupted = 0
    for _ in range(40):
        try:
            alarm(rng.random() * takes + 1e-6)
            sdt_lava.simulate(net, busy, "engine", threads=2, strict=False)
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            interrupted += 1
        while True:  # the alarm goes on until it is off
            try:
                signal.setitimer(signal.ITIMER_REAL, 0)
                break
            except KeyboardInterrupt:
                pass
        assert not helpers()
        got = sdt_lava.simulate(net, quiet, "engine", threads=2, strict=False)
        assert all(np.array_equal(got.spikes[n], want.spikes[n]) for n in want.spikes)
    assert interrupted > 5


@pytest.mark.parametrize("count", [False, True])
def test_the_run_after_a_callback_that_raises(count):
    rng = np.random.default_rng(4)
    net = random_sdt_graph(rng, image=(2, 6, 6), channels=8)
    x = np.swapaxes(random_frames(rng, net, batch=6), 0, 1) / net.input.scale
    want = sdt_lava.simulate(net, x, "reference")

    def refuse(done, total):
        if done >= 4:
            raise LookupError(done)

    for reset in (True, False):
        with pytest.raises(LookupError):
            sdt_lava.simulate(
                net, x, "engine", batch_size=2, on_progress=refuse, count=count, reset=reset
            )
        got = sdt_lava.simulate(net, x, "engine", batch_size=2, count=count)
        assert all(np.array_equal(got.spikes[n], want.spikes[n]) for n in want.spikes)


def test_runs_inside_a_run():
    rng = np.random.default_rng(5)
    net = random_sdt_graph(rng, image=(2, 6, 6), channels=8)
    frames = random_frames(rng, net, batch=6)
    engine = Engine(net, options=EngineOptions(batch_size=2))
    want = engine.run(frames, (net.output_name,))[net.output_name]
    inner = []

    def run_another(done):
        inner.append(engine.run(frames[:, ::-1], (net.output_name,))[net.output_name])

    found = engine.run(frames, RunRequest((net.output_name,), on_batch=run_another))
    assert np.array_equal(found[net.output_name], want)
    assert len(inner) == 3
    assert all(np.array_equal(values, want[:, ::-1]) for values in inner)


def test_several_threads_run_one_network(monkeypatch):
    always_threads(monkeypatch)
    rng = np.random.default_rng(6)
    net = random_sdt_graph(rng, image=(2, 6, 6), channels=8)
    inputs = [
        np.swapaxes(random_frames(rng, net, batch=3), 0, 1) / net.input.scale for _ in range(4)
    ]
    want = [sdt_lava.simulate(net, x, "reference").logits for x in inputs]
    wrong = []

    def run(x, expected):
        for _ in range(6):
            got = sdt_lava.simulate(net, x, "engine", threads=2, reset=True)
            if not np.array_equal(got.logits, expected):
                wrong.append(got)

    threads = [threading.Thread(target=run, args=pair) for pair in zip(inputs, want, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
