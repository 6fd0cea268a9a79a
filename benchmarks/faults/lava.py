"""Faults of Lava networks: every process killed, and one that raises, at every phase."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.faults.child import Outcome, run_child
from benchmarks.faults.commands import Case
from sdt_lava import cli
from sdt_lava.errors import LavaRuntimeError
from tests.cli.writers import Inputs
from tests.lava_faults import NoModel
from tests.lava_networks import SIZE, STEPS, Network, nothing_left_behind
from tests.left_behind import processes_where

# Source, fault, dense, LIF, recorder, and Lava's runtime service.
_ACTORS = 6
PHASES = ("start", "run", "read-out", "stop")
_LIVELY = 500  # steps of a network that is killed while it runs
_STEPS = {"start": STEPS, "run": _LIVELY, "read-out": STEPS + 1, "stop": STEPS}


def lava_cases(inputs: Inputs) -> Iterator[Case]:
    """Yield every fault of Lava networks."""
    for phase in PHASES:
        for index in range(_ACTORS):
            name = f"process {index}"
            yield f"Lava, killed at {phase}", name, _case(lambda p=phase, i=index: killed(p, i))
    yield "Lava, raises at compile", "no model", _case(_not_compiled)
    for phase, step in (("start", 0), ("run", 3)):
        for place in ("first", "middle", "last"):
            for kind in ("raise", "stubborn", "exit"):
                name = f"{place} process: {kind}"
                yield (
                    f"Lava, raises at {phase}", name,
                    _case(lambda k=kind, s=step, p=place: _raised(k, s, p)),
                )  # fmt: skip
    yield "Lava, after threads of torch", "sim", lambda: _after_threads(inputs)
    for what, code in (("Ctrl-C twice", 130), ("SIGTERM", 143), ("killed process", 1)):
        yield f"Lava, {what}", "sim", lambda w=what, c=code: _command(inputs, w, c)
    for what in ("temporary folder", "shared memory"):
        yield f"Lava, {what} full", "sim", lambda w=what: _no_room(inputs, w)


def _case(body: Callable[[], None]) -> Callable[[], tuple[Outcome, list[str]]]:
    def run() -> tuple[Outcome, list[str]]:
        def checked() -> None:
            with nothing_left_behind():
                body()

        outcome = run_child(checked)
        wrong = [] if outcome.code == 0 else [outcome.errors[-600:]]
        return outcome, wrong

    return run


def _kill(session: object, index: int) -> None:
    actors = session._runtime._messaging_infrastructure.actors  # type: ignore[attr-defined]
    os.kill(actors[index].pid, signal.SIGKILL)


def killed(phase: str, index: int) -> None:
    """Kill one process and expect an error that says so; at the stop, the results stand."""
    with tempfile.TemporaryDirectory() as folder:
        network = Network(Path(folder), steps=_STEPS[phase])
        session = network.session()
        if phase == "start":
            make = session._make_runtime

            def doomed(executable: object) -> object:
                runtime = make(executable)
                wait = runtime.wait_until_built

                def kill_and_wait(deadline: float | None) -> None:
                    os.kill(runtime._messaging_infrastructure.actors[index].pid, signal.SIGKILL)
                    wait(deadline)

                runtime.wait_until_built = kill_and_wait  # type: ignore[method-assign]
                return runtime

            session._make_runtime = doomed  # type: ignore[assignment, method-assign]

            def run() -> None:  # one that was built when it died is missed at the first step
                with session:
                    session.run(STEPS)

            _expect("SIGKILL", run)
            return
        with session:
            if phase == "run":
                _expect(
                    "SIGKILL",
                    lambda: session.run(
                        _LIVELY, lambda done: _kill(session, index) if done < _LIVELY else None
                    ),
                )
                return
            session.run(STEPS)
            if phase == "read-out":
                _kill(session, index)
                # What was recorded is in files.
                spikes = network.recorder.read("lif/spikes")[:STEPS]
                assert np.array_equal(spikes, network.expected()[:STEPS])
                _expect("SIGKILL", lambda: session.run(1))
                return
            _kill_at_stop(session, index)
        network.check()


def _kill_at_stop(session: object, index: int) -> None:
    runtime = session._runtime  # type: ignore[attr-defined]
    stop = runtime._stop_regularly

    def killed_first() -> None:
        _kill(session, index)
        stop()

    runtime._stop_regularly = killed_first


def _expect(words: str, action: Callable[[], object]) -> None:
    try:
        action()
    except LavaRuntimeError as error:
        if words in str(error):
            return
        raise AssertionError(f"another error: {error}") from error
    raise AssertionError("no error")


def _raised(kind: str, step: int, place: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        network = Network(Path(folder), kind, step, place)

        def run() -> None:
            with network.session() as session:
                session.run(STEPS)

        _expect("'fault' (Fault)", run)


def _not_compiled() -> None:
    with tempfile.TemporaryDirectory() as folder:
        network = Network(Path(folder))
        network.root.s_out.connect(NoModel(SIZE).a_in)
        _expect("NoProcessModelFound", lambda: network.session().__enter__())


def _sim(inputs: Inputs) -> Callable[[], None]:
    def body() -> None:
        sys.argv = ["sdt-lava", "sim", str(inputs.network), "--data", str(inputs.data)]
        cli.main()

    return body


def _judged(outcome: Outcome, codes: tuple[int, ...], word: str = "") -> tuple[Outcome, list[str]]:
    if outcome.code in codes and word in outcome.errors:
        return outcome, []
    return outcome, [f"exit code {outcome.code}, not one of {codes}: {outcome.errors[-300:]}"]


def _after_threads(inputs: Inputs) -> tuple[Outcome, list[str]]:
    def body() -> None:
        import torch

        from tests.lava_faults.models import parallel_torch

        torch.set_num_threads(2)
        parallel_torch()
        _sim(inputs)()

    return _judged(run_child(body), (0,))


def _command(inputs: Inputs, what: str, code: int) -> tuple[Outcome, list[str]]:
    def act(pid: int) -> None:
        deadline = time.monotonic() + 60
        members: set[int] = set()
        while len(members) < 30 and time.monotonic() < deadline:
            members = processes_where(3, pid) - {pid}
            time.sleep(0.02)
        if what == "killed process":
            os.kill(max(members), signal.SIGKILL)
        elif what == "SIGTERM":
            os.kill(pid, signal.SIGTERM)
        else:
            for _ in range(2):
                os.killpg(pid, signal.SIGINT)
                time.sleep(0.05)

    word = "SIGKILL" if what == "killed process" else ""
    return _judged(run_child(_sim(inputs), act), (code,), word)


def _no_room(inputs: Inputs, what: str) -> tuple[Outcome, list[str]]:
    """Let a tiny disk stand where frames, or the channels between processes, are kept."""
    import subprocess

    place = tempfile.mkdtemp() if what == "temporary folder" else "/dev/shm"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], check=True)

    def body() -> None:
        if what == "temporary folder":
            tempfile.tempdir = place
        _sim(inputs)()

    try:
        return _judged(run_child(body), (1, 2), "error:")
    finally:
        subprocess.run(["umount", place], check=True)
        if what == "temporary folder":
            os.rmdir(place)
