"""Signals while something must not be left half done."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from sdt_lava.support.interruption import Interruption


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGUSR1)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_nothing_is_raised_before_the_end():
    done = []
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption:
        assert not interruption.happened
        signal.raise_signal(signal.SIGINT)
        assert interruption.happened
        signal.raise_signal(signal.SIGINT)  # as nobody is patient
        done.append("all of it")
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_first_error_is_raised_also_in_place_of_another():
    def handler(number, frame):
        raise LookupError(number)

    signal.signal(signal.SIGUSR1, handler)
    with pytest.raises(LookupError, match=str(int(signal.SIGUSR1))), Interruption():
        signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGINT)
        raise ValueError
    assert signal.getsignal(signal.SIGUSR1) is handler


def test_handlers_that_raise_nothing_are_called_at_once():
    seen = []
    signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGUSR1)
        assert seen == [signal.SIGUSR1] and not interruption.happened


def test_a_handler_that_is_exchanged_meanwhile_stays():
    def second(number, frame):
        raise SystemExit(3)

    signal.signal(signal.SIGUSR1, lambda number, frame: signal.signal(number, second) and None)
    with pytest.raises(SystemExit), Interruption():
        signal.raise_signal(signal.SIGUSR1)
        assert signal.getsignal(signal.SIGUSR1) is second
        signal.signal(signal.SIGINT, second)
        with Interruption() as inner:  # one that is inside has it, too
            assert not inner.happened
        raise SystemExit(1)
    assert signal.getsignal(signal.SIGUSR1) is second


def test_inside_each_other_the_outer_one_raises():
    steps = []
    with pytest.raises(KeyboardInterrupt), Interruption() as outer:
        with Interruption() as inner:
            signal.raise_signal(signal.SIGINT)
            steps.append(inner.happened)
        steps.append(outer.happened)
    assert steps == [False, True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_have_no_handlers():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work():
        with Interruption() as interruption:
            seen.append((interruption.happened, signal.getsignal(signal.SIGINT) is before))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, True)]


def test_a_child_forked_by_another_thread_is_interrupted_as_usual():
    read, write = os.pipe()

    def fork():
        if not os.fork():
            try:
                signal.raise_signal(signal.SIGINT)
                time.sleep(5)
            except KeyboardInterrupt:
                os.write(write, b"interrupted")
            finally:
                os._exit(0)

    with Interruption() as interruption:
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
        os.wait()
        assert not interruption.happened
    os.close(write)
    with open(read, "rb") as file:
        assert file.read() == b"interrupted"
