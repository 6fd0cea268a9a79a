"""Outputs that cannot be written: one typed error, old files as they were, nothing left over."""

from __future__ import annotations

import os
import resource
import signal
from contextlib import contextmanager

import pytest

from sdt_lava.cli.places import FIGURE_SUFFIXES
from tests.cli.writers import WRITERS, make_inputs
from tests.left_behind import children

FILES = [name for name, writer in WRITERS.items() if not writer.is_folder]
OLD = b"an old file"


@pytest.fixture(scope="module")
def inputs(checkpoint, network, tmp_path_factory):
    return make_inputs(checkpoint, network, tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def write(run, inputs, tmp_path):
    """Run a command that writes, and check that what was there before is all that is left."""
    folder = tmp_path / "out"
    folder.mkdir()

    def start(name, output=None):
        writer = WRITERS[name]
        path = output or folder / writer.output
        if output is None and not writer.is_folder:
            path.write_bytes(OLD)
        before, running = contents(folder), children()
        code, _, err = run("main", *writer.arguments(inputs, path))
        assert children() == running
        return code, err, before

    start.folder = folder
    return start


def contents(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@contextmanager
def largest_file(size):
    """Make longer files impossible, whoever writes them: what a full disk is to a program."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", WRITERS)
def test_no_room_for_the_output(write, name):
    with largest_file(64):
        code, err, before = write(name)
    assert code == 2 and "error:" in err and ("File too large" in err or "disk" in err), err
    if WRITERS[name].is_folder:  # what is finished stays, for --resume
        left = {path.name for path in write.folder.rglob("*")}
        assert left <= {"eval", "page", "sweep", "4-bit", "results.sqlite"}
    else:
        assert contents(write.folder) == before


@pytest.mark.parametrize("name", FILES)
def test_folder_in_place_of_the_file(write, name):
    taken = write.folder / "taken"
    taken.mkdir()
    code, err, before = write(name, taken)
    assert code == 2 and "taken" in err
    assert contents(write.folder) == before


@pytest.mark.parametrize("name", [name for name in WRITERS if name not in FILES])
def test_file_in_place_of_the_folder(write, name):
    taken = write.folder / "taken"
    taken.write_bytes(OLD)
    for output in (taken, taken / "below"):
        code, err, before = write(name, output)
        assert code == 2 and "taken" in err
        assert contents(write.folder) == before


def raises(number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_failure_at_the_last_moment(write, monkeypatch, call):
    """The disk may say only when it is flushed that there was no room."""
    monkeypatch.setattr(os, call, raises(28))
    code, err, before = write("convert")
    assert code == 2 and "No space left" in err
    assert contents(write.folder) == before


@pytest.mark.parametrize(
    ("number", "expected", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
@pytest.mark.parametrize("times", [1, 3])
def test_signals_while_writing(write, monkeypatch, number, expected, word, times):
    """The first signal ends the command; more of them do not disturb its cleaning up."""
    unlink = os.unlink
    handler = signal.getsignal(number)

    def interrupted(*_):
        os.kill(os.getpid(), number)

    def again(path, **options):
        for _ in range(times - 1):
            os.kill(os.getpid(), number)
        unlink(path, **options)

    monkeypatch.setattr(os, "fsync", interrupted)
    monkeypatch.setattr("pathlib.Path.unlink", lambda path: again(path))
    code, err, before = write("convert")
    assert (code, err.splitlines()[-1]) == (expected, word)
    assert contents(write.folder) == before
    assert signal.getsignal(number) == handler


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (MemoryError(), "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "memory"),
        (OSError(24, "Too many open files"), "ulimit -n"),
        (OSError(28, "No space left on device"), "free some space"),
    ],
)
def test_a_machine_that_has_run_out(run, inputs, monkeypatch, error, word):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("sdt_lava.cli.info.load_file", fail)
    code, _, err = run("main", "info", inputs.network)
    assert code == 1 and err.startswith("error:") and word in err


def test_a_bug_is_still_a_traceback(run, inputs, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr("sdt_lava.cli.info.load_file", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        run("main", "info", inputs.network)


def test_no_memory_for_the_buffers_of_linear_algebra(run, inputs, monkeypatch):
    """OpenBLAS would look for its buffer without end."""
    from sdt_lava.cli import ending

    def refuse(*_):
        raise OSError(12, "Cannot allocate memory")

    ending.reserve_buffers.cache_clear()
    monkeypatch.setattr("mmap.mmap", refuse)
    code, _, err = run("main", "info", inputs.network)
    assert code == 1 and "memory" in err


FIGURES = [name for name in WRITERS if name.endswith("--plot")]


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("suffix", [".xyz", ".txt", ".h5", ".png.bak"])
def test_a_figure_of_no_format_is_refused_before_anything_runs(write, monkeypatch, name, suffix):
    def never(*_args, **_kwargs):
        raise AssertionError("something ran")

    monkeypatch.setattr("sdt_lava.cli.networks.load_file", never)
    monkeypatch.setattr("sdt_lava.io.files.open_regular", never)
    code, err, before = write(name, write.folder / f"figure{suffix}")
    assert code == 2 and "a figure in the format" in err and ".png" in err
    assert contents(write.folder) == before


def test_formats_are_those_of_the_figures():
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    assert all(suffix[1:] in known for suffix in FIGURE_SUFFIXES if suffix)
