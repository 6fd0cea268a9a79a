"""LavaSession: right numbers, one clear error for every failure, and nothing left behind."""

from __future__ import annotations

import pickle
import threading
import time
from pathlib import Path

import pytest
from lava.magma.core.process.process import ProcessServer

from sdt_lava.errors import ConfigError, LavaRuntimeError, LavaTimeoutError
from tests.lava_faults import NoModel
from tests.lava_networks import SIZE, STEPS, Network, footprint, nothing_left_behind
from tests.left_behind import WAIT

pytestmark = [pytest.mark.lava, pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
def _clean():
    with nothing_left_behind():
        yield


def check_good_network(folder: Path) -> None:
    network = Network(folder)
    with network.session() as session:
        session.run(STEPS)
    network.check()


def check_failing_network(folder: Path) -> None:
    network = Network(folder, "raise")
    with network.session() as session, pytest.raises(LavaRuntimeError):
        session.run(STEPS)


# -- normal runs -------------------------------------------------------------------------------


def test_spikes_equal_the_equation_and_progress_counts_up(tmp_path):
    network = Network(tmp_path)
    progress: list[int] = []
    with network.session() as session:
        session.run(2)
        session.run(STEPS - 2, on_progress=progress.append)
        assert session.steps_done == STEPS
        network.check()  # complete on return from run, before the session is closed
    assert progress == sorted(set(progress))
    assert progress[-1] == STEPS - 2


def test_works_in_a_thread_that_is_not_the_main_one(tmp_path):
    errors: list[BaseException] = []

    def work() -> None:
        try:
            check_good_network(tmp_path)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(3 * WAIT)
    assert not thread.is_alive()
    assert not errors


def test_two_networks_at_the_same_time_in_one_interpreter(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    outer, inner = Network(folders[0]), Network(folders[1], "raise", step=2)
    with outer.session() as session:
        session.run(3)
        with pytest.raises(LavaRuntimeError), inner.session() as failing:
            failing.run(STEPS)
        session.run(STEPS - 3)
    outer.check()


def test_arguments_are_checked(tmp_path):
    network = Network(tmp_path)
    with pytest.raises(ConfigError, match="timeout"):
        network.session(timeout=0)
    session = network.session()
    with pytest.raises(LavaRuntimeError, match="not running"):
        session.run(1)
    with session, pytest.raises(ConfigError, match="num_steps"):
        session.run(0)
    session.close()


# -- failures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_process_that_raises_is_named_and_the_next_network_runs(tmp_path, place):
    network = Network(tmp_path, "raise", step=3, place=place)
    with network.session() as session:
        began = time.monotonic()
        with pytest.raises(LavaRuntimeError) as caught:
            session.run(STEPS)
        assert time.monotonic() - began < WAIT / 2
        with pytest.raises(LavaRuntimeError, match="not running"):
            session.run(1)
    assert str(caught.value) == "'fault' (Fault): ValueError: a deliberate failure"
    assert caught.value.process == "'fault' (Fault)"
    assert "in run_spk" in caught.value.traceback_text
    assert isinstance(caught.value.__cause__, ValueError)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.process, copy.traceback_text) == (
        caught.value.process,
        caught.value.traceback_text,
    )
    check_good_network(tmp_path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("stubborn", "StubbornError: it failed because it was told to"),
        ("exit", "SystemExit: 0"),
        ("vanish", "ended unexpectedly with exit code 0"),
        ("kill", "was killed by SIGKILL"),
    ],
)
@pytest.mark.parametrize("step", [0, 2])
def test_every_way_to_fail_while_built_and_while_running(tmp_path, kind, message, step, capfd):
    network = Network(tmp_path, kind, step)
    with (
        pytest.raises(LavaRuntimeError, match=r"^'fault' \(Fault\): .*" + message),
        network.session() as session,
    ):
        session.run(STEPS)
    assert capfd.readouterr() == ("", "")


def test_a_model_that_raises_while_built(tmp_path, capfd):
    with (
        pytest.raises(LavaRuntimeError, match="fault.*deliberate") as caught,
        Network(tmp_path, "raise", step=0).session(),
    ):
        pytest.fail("the session must not start")
    assert "in __init__" in caught.value.traceback_text
    assert capfd.readouterr() == ("", "")


def test_a_network_that_cannot_be_compiled(tmp_path):
    # Tests before this one may have built processes that no session ran.
    before = list(ProcessServer().processes)
    network = Network(tmp_path)
    network.root.s_out.connect(NoModel(SIZE).a_in)
    with pytest.raises(LavaRuntimeError, match="NoProcessModelFound"), network.session():
        pytest.fail("the session must not start")
    assert ProcessServer().processes == before


@pytest.mark.parametrize(("step", "verb"), [(0, "did not start"), (3, "did not finish")])
def test_time_out(tmp_path, step, verb):
    network = Network(tmp_path, "hang", step)
    began = time.monotonic()
    with (
        pytest.raises(LavaTimeoutError, match=f"{verb}.*within 4 s"),
        network.session(timeout=4) as session,
    ):
        session.run(STEPS)
    assert time.monotonic() - began < WAIT


def test_an_error_of_the_caller_passes_through(tmp_path):
    with pytest.raises(ZeroDivisionError), Network(tmp_path).session() as session:
        session.run(STEPS, on_progress=lambda step: step / 0)


# -- many cycles -------------------------------------------------------------------------------


@pytest.mark.slow
def test_twenty_cycles_leave_the_footprint_flat(tmp_path):
    seen = []
    for cycle in range(20):
        if cycle % 5 == 4:
            check_failing_network(tmp_path)
        else:
            check_good_network(tmp_path)
        seen.append(footprint())
    assert [print_ for print_ in seen if print_ != seen[0]] == []
