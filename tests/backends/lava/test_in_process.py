"""Lava networks in one process: Lava's numbers, real exceptions, and nothing that hangs."""

from __future__ import annotations

import logging
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from lava.proc import io
from lava.proc.dense.process import Dense
from lava.proc.lif.process import LIF
from lava.proc.monitor.process import Monitor

from sdt_lava.backends.lava.session import LavaSession
from sdt_lava.errors import ConfigError, LavaRuntimeError, LavaTimeoutError
from tests.lava_faults import Fault
from tests.lava_networks import SIZE, STEPS, Network, nothing_left_behind, run_config
from tests.left_behind import children

pytestmark = [pytest.mark.lava, pytest.mark.timeout(60)]


def handlers() -> tuple:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    return children(), threading.active_count(), *map(signal.getsignal, numbers)


@pytest.fixture(autouse=True)
def _clean():
    before, logs = handlers(), set(logging.getLogger().handlers)
    yield
    assert handlers() == before
    assert set(logging.getLogger().handlers) <= logs


def in_process(network: Network, timeout: float | None = None) -> LavaSession:
    return LavaSession(network.root, run_config(), timeout=timeout, executor="in-process")


def check_good_network(folder: Path) -> None:
    network = Network(folder)
    with in_process(network) as session:
        session.run(STEPS)
    network.check()


# -- normal runs -------------------------------------------------------------------------------


def test_spikes_equal_the_equation_without_a_child_or_a_thread(tmp_path):
    network = Network(tmp_path)
    before, threads = children(), threading.active_count()
    progress: list[int] = []
    with in_process(network) as session:
        session.run(2)
        assert (children(), threading.active_count()) == (before, threads)
        session.run(STEPS - 2, on_progress=progress.append)
        network.check()
        assert (session.steps_done, session.executor, session.note) == (STEPS, "in-process", "")
    assert progress == sorted(set(progress)) and progress[-1] == STEPS - 2
    assert session.num_processes == 5
    assert set(session.seconds) == {"compile", "start", "run", "stop"}


def test_variables_are_read_at_once_and_set(tmp_path):
    network = Network(tmp_path)
    with in_process(network) as session:
        session.run(STEPS)
        lif, dense = network.lif, network.dense
        voltage = lif.v.get()
        assert voltage.dtype == np.float64 and voltage.any()
        assert np.array_equal(dense.weights.get(), network.weights)
        lif.v.set(np.arange(SIZE))
        lif.vth.set(np.array([5]))
        assert np.array_equal(lif.v.get(), np.arange(SIZE)) and lif.vth.get() == 5
        with pytest.raises(LavaRuntimeError, match="index"):
            lif.v.set(np.arange(SIZE), idx=np.array([1]))


def test_another_executor_does_not_exist(tmp_path):
    network = Network(tmp_path)
    with in_process(network), pytest.raises(ConfigError, match="executor"):
        LavaSession(network.root, run_config(), executor="threads")


def test_works_in_a_thread_that_is_not_the_main_one(tmp_path):
    errors: list[BaseException] = []

    def work() -> None:
        try:
            check_good_network(tmp_path)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not errors


# -- failures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_process_that_raises_is_named_and_the_next_network_runs(tmp_path, place):
    network = Network(tmp_path, "raise", step=3, place=place)
    with in_process(network) as session:
        with pytest.raises(LavaRuntimeError) as caught:
            session.run(STEPS)
        with pytest.raises(LavaRuntimeError, match="not running"):
            session.run(1)
    assert str(caught.value) == "'fault' (Fault): ValueError: a deliberate failure"
    assert caught.value.process == "'fault' (Fault)"
    assert "in run_spk" in caught.value.traceback_text
    assert isinstance(caught.value.__cause__, ValueError)
    check_good_network(tmp_path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [("raise", "ValueError: a deliberate"), ("stubborn", "StubbornError"), ("exit", "SystemExit")],
)
@pytest.mark.parametrize("step", [0, 2])
def test_every_way_to_raise_while_built_and_while_running(tmp_path, kind, message, step, capfd):
    network = Network(tmp_path, kind, step)
    with (
        pytest.raises(LavaRuntimeError, match=r"^'fault' \(Fault\): .*" + message),
        in_process(network) as session,
    ):
        session.run(STEPS)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("step", "verb"), [(0, "did not start"), (3, "did not finish")])
def test_a_model_that_hangs_is_interrupted_in_the_main_thread(tmp_path, step, verb):
    network = Network(tmp_path, "hang", step)
    before = signal.getsignal(signal.SIGALRM)
    with (
        pytest.raises(LavaTimeoutError, match=f"{verb}.*within 1 s"),
        in_process(network, timeout=1) as session,
    ):
        session.run(STEPS)
    assert signal.getsignal(signal.SIGALRM) == before


def test_outside_the_main_thread_the_limit_is_looked_at_between_steps(tmp_path):
    network = Network(tmp_path, "slow", steps=1000)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with in_process(network, timeout=0.5) as session:
                session.run(1000)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert [type(error) for error in errors] == [LavaTimeoutError]


def test_ctrl_c_while_a_model_hangs(tmp_path):
    network = Network(tmp_path, "hang", step=3)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt), in_process(network, timeout=50) as session:
        session.run(STEPS)
    timer.join()
    check_good_network(tmp_path)


def test_sigterm_is_not_taken_for_a_failing_model(tmp_path):
    network = Network(tmp_path, "hang", step=3)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    with pytest.raises(SystemExit) as caught, in_process(network) as session:
        session.run(STEPS)
    timer.join()
    assert caught.value.code == 143


def test_an_alarm_of_somebody_else_still_rings(tmp_path):
    rung: list[int] = []
    previous = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    try:
        with in_process(Network(tmp_path, "alarm", step=2), timeout=30) as session:
            session.run(STEPS)
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert rung == [signal.SIGALRM]


@pytest.mark.parametrize(
    ("kind", "said"), [("mute", "holds no message"), ("chatty", "holds 2 messages")]
)
def test_a_model_that_sends_too_seldom_or_too_often(tmp_path, kind, said):
    """In Lava's runtime both wait for ever."""
    with (
        pytest.raises(LavaRuntimeError, match=rf"from 'fault' \(Fault\) to 'lif'.*{said}"),
        in_process(Network(tmp_path, kind, step=2)) as session,
    ):
        session.run(STEPS)


def test_a_message_of_another_shape(tmp_path):
    with (
        pytest.raises(LavaRuntimeError, match=r"'fault' \(Fault\): AssertionError.*Mismatch"),
        in_process(Network(tmp_path, "bloated", step=2)) as session,
    ):
        session.run(STEPS)


def test_messages_are_copies(tmp_path):
    """A sender may use its array again, as with shared memory."""
    events = np.arange(2 * STEPS, dtype=np.int32).reshape(2, STEPS)
    source, sink = io.source.RingBuffer(data=events), io.sink.RingBuffer(shape=(2,), buffer=STEPS)
    fault = Fault(2, "reuse")
    source.s_out.connect(fault.a_in)
    fault.s_out.connect(sink.a_in)
    with LavaSession(source, run_config(), executor="in-process") as session:
        session.run(STEPS)
        assert np.array_equal(sink.data.get(), events)


# -- what Lava's own runtime has to run --------------------------------------------------------


def recurrent_network() -> tuple[LIF, io.sink.RingBuffer]:
    lif = LIF(shape=(3,), du=4095, dv=0, vth=30, bias_mant=np.array([20, 7, 0]), bias_exp=6)
    dense = Dense(weights=np.array([[0, 20, 0], [0, 0, 40], [60, 0, 0]]), name="back")
    lif.name = "neurons"
    sink = io.sink.RingBuffer(shape=(3,), buffer=STEPS)
    lif.s_out.connect(dense.s_in)
    dense.a_out.connect(lif.a_in)
    lif.s_out.connect(sink.a_in)
    return lif, sink


@pytest.mark.timeout(120)
def test_a_recurrent_network_goes_to_lavas_runtime_with_a_sentence(caplog):
    with nothing_left_behind():
        lif, sink = recurrent_network()
        with LavaSession(lif, run_config(), timeout=60, executor="in-process") as session:
            assert len(children()) > 3
            session.run(STEPS)
            assert sink.data.get().any()
    assert session.executor == "processes"
    assert session.note.startswith("the network is recurrent (")
    assert "neurons -> back" in session.note or "back -> neurons" in session.note
    assert "it runs in Lava's own runtime" in session.note
    assert session.note in caplog.text


@pytest.mark.timeout(120)
def test_a_process_that_reads_variables_goes_to_lavas_runtime():
    lif = LIF(shape=(2,), du=4095, dv=0, vth=30, bias_mant=20, bias_exp=6)
    monitor = Monitor()
    monitor.probe(target=lif.v, num_steps=4)
    with LavaSession(lif, run_config(), timeout=60, executor="in-process") as session:
        assert session.executor == "processes"
        assert "shares variables with another process" in session.note
        session.run(4)
