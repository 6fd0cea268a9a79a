"""Faults of commands that write: full, read-only and taken outputs, signals, too little memory."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.faults.child import Event, Outcome, Signal, contents, run_child
from sdt_lava import cli
from tests.cli.writers import WRITERS, Inputs

OLD = b"an old file"
# What a command may take beyond what Python and its libraries have mapped before it starts.
_MEMORY_MIB = (4, 32, 128)
# What a failed evaluation or sweep keeps on purpose, for --resume, and folders that were made.
_RESUMABLE = ("evaluate", "sweep")
_KEPT = {
    "eval", "sweep", "page", "4-bit", "identity.json", "net.h5", "results.sqlite",
    "results.sqlite-wal", "results.sqlite-shm", "results.json", "predictions.csv",
}  # fmt: skip

# How a case ended, and what was wrong.
Result = tuple[Outcome, list[str]]
# A case is a kind, a name, and a function.
Case = tuple[str, str, Callable[[], Result]]
Make = Callable[[Inputs, str, Path], Result]


def command_cases(inputs: Inputs, folder: Path) -> Iterator[Case]:
    """Yield every fault for every command that writes.

    Parameters
    ----------
    inputs : Inputs
        What the commands read.
    folder : Path
        Empty folder in a mount namespace of this program's own.
    """
    kinds: dict[str, Make] = {
        "disk full": _full,
        "read-only disk": _read_only,
        "output taken": _taken,
        "no such folder": _missing,
        "Ctrl-C": _signals(signal.SIGINT, 1, 130, "start"),
        "Ctrl-C twice while writing": _signals(signal.SIGINT, 2, 130, "write"),
        "SIGTERM": _signals(signal.SIGTERM, 1, 143, "start"),
        "SIGTERM while writing": _signals(signal.SIGTERM, 1, 143, "write"),
        "two at once": _two,
        **{f"{size} MiB of memory": _memory(size) for size in _MEMORY_MIB},
    }
    for kind, make in kinds.items():
        for name in WRITERS:
            place = folder / f"{kind} {name}".replace(" ", "-")
            yield kind, name, partial(_in_new_folder, make, inputs, name, place)


def _in_new_folder(make: Make, inputs: Inputs, name: str, place: Path) -> Result:
    place.mkdir()
    return make(inputs, name, place)


def command(name: str, inputs: Inputs, output: Path) -> Callable[[], None]:
    """Return a function that runs a command as if it were typed."""
    arguments = list(map(str, WRITERS[name].arguments(inputs, output)))

    def body() -> None:
        sys.argv = ["sdt-lava", *arguments]
        cli.main()

    return body


def _attempt(
    name: str,
    inputs: Inputs,
    place: Path,
    body: Callable[[Callable[[], None]], None] = lambda run: run(),
    *,
    codes: tuple[int, ...],
    output: Path | None = None,
    on_start: Event | None = None,
) -> Result:
    path = output or place / WRITERS[name].output
    if output is None and not WRITERS[name].is_folder:
        path.write_bytes(OLD)
    before = contents(place)
    run = command(name, inputs, path)
    outcome = run_child(lambda: body(run), on_start)
    wrong = []
    if outcome.code not in codes:
        wrong.append(f"exit code {outcome.code}, not one of {codes}: {outcome.errors[-300:]}")
    if outcome.code != 0:
        after = contents(place)
        if WRITERS[name].is_folder:
            after = {key: value for key, value in after.items() if Path(key).name not in _KEPT}
        extra = [key for key in after if key not in before]
        changed = [key for key in before if after.get(key, b"") != before[key]]
        wrong += [f"left over: {key}" for key in extra] + [f"changed: {key}" for key in changed]
    return outcome, wrong


def _mount(place: Path, *options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(place)], check=True)


def _full(inputs: Inputs, name: str, place: Path) -> Result:
    _mount(place, "-o", "size=1m")
    path = place / WRITERS[name].output
    if not WRITERS[name].is_folder:
        path.write_bytes(OLD)
    statistics = os.statvfs(place)
    (place / "filler").write_bytes(bytes(statistics.f_bavail * statistics.f_frsize))
    result = _attempt(name, inputs, place, codes=(1, 2), output=path)
    if name not in _RESUMABLE:
        return result
    # With room again, what is there is continued.
    (place / "filler").unlink()
    arguments = WRITERS[name].arguments(inputs, path)
    sys_arguments = ["sdt-lava", *map(str, arguments), "--resume"]

    def resume() -> None:
        sys.argv = sys_arguments
        cli.main()

    again = run_child(resume)
    outcome, wrong = result
    if again.code != 0:
        wrong.append(f"cannot be resumed: {again.errors[-300:]}")
    return outcome, wrong


def _read_only(inputs: Inputs, name: str, place: Path) -> Result:
    _mount(place, "-o", "size=8m")
    if not WRITERS[name].is_folder:
        (place / WRITERS[name].output).write_bytes(OLD)
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    return _attempt(name, inputs, place, codes=(2,), output=place / WRITERS[name].output)


def _taken(inputs: Inputs, name: str, place: Path) -> Result:
    path = place / "taken"
    if WRITERS[name].is_folder:
        path.write_bytes(OLD)
    else:
        path.mkdir()
    return _attempt(name, inputs, place, codes=(2,), output=path)


def _missing(inputs: Inputs, name: str, place: Path) -> Result:
    """Folders are made; a file in the place of one of them cannot be."""
    path = place / "nowhere" / WRITERS[name].output
    if WRITERS[name].is_folder:
        (place / "nowhere").write_bytes(OLD)
    return _attempt(name, inputs, place, codes=(2,), output=path)


def _signals(number: int, times: int, code: int, when: str) -> Make:
    def case(inputs: Inputs, name: str, place: Path) -> Result:
        reached = Signal()

        def body(run: Callable[[], None]) -> None:
            if when == "write":
                flush = os.fsync

                def pause(descriptor: int) -> None:
                    reached.give()
                    flush(descriptor)

                os.fsync = pause  # type: ignore[assignment]
            else:
                _announce_inside(reached)
            run()

        def send(pid: int) -> None:
            if reached.wait(60.0):
                for _ in range(times):
                    os.killpg(pid, number)
                    time.sleep(0.05)

        try:
            return _attempt(name, inputs, place, body, codes=(code,), on_start=send)
        finally:
            reached.close()

    return case


def _announce_inside(reached: Signal) -> None:
    """Announce the first file that the command opens: it runs, and has written nothing."""
    state = {"waiting": True}

    def hook(event: str, arguments: tuple) -> None:
        is_input = event == "open" and "faults-inputs" in str(arguments[0])
        if is_input and state["waiting"]:
            state["waiting"] = False
            reached.give()

    sys.addaudithook(hook)


def _memory(size: int) -> Make:
    def limited(run: Callable[[], None]) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + size * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        run()

    def case(inputs: Inputs, name: str, place: Path) -> Result:
        return _attempt(name, inputs, place, limited, codes=(0, 1, 2))

    return case


def _two(inputs: Inputs, name: str, place: Path) -> Result:
    """Run the command twice at the same time on one output: each ends, one result is there."""
    path = place / WRITERS[name].output
    run = command(name, inputs, path)

    def both() -> None:
        other = os.fork()
        try:
            run()
        except SystemExit as ending:
            code = int(ending.code or 0)
        if other == 0:
            os._exit(code)
        codes = {code, os.waitstatus_to_exitcode(os.waitpid(other, 0)[1])}
        # One may find that the other has taken the output.
        sys.exit(0 if codes in ({0}, {0, 2}) else max(codes - {0}))

    outcome = run_child(both)
    left = [key for key in contents(place) if key.endswith(".tmp")]
    wrong = [f"left over: {key}" for key in left]
    if outcome.code != 0 or not path.exists():
        wrong.append(f"no result, exit code {outcome.code}: {outcome.errors[-300:]}")
    return outcome, wrong
