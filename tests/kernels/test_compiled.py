"""Compiled functions and the folder in which their machine code is kept."""

import ast
import os
import pickle
import resource
from pathlib import Path

import numpy as np
import pytest

import sdt_lava
from sdt_lava.kernels.jit import _CheckedFiles, jit, kernel_sources


def doubled(values):
    return values + values


def test_machine_code_is_kept(monkeypatch, tmp_path):
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    assert np.array_equal(jit(doubled)(np.arange(3)), [0, 2, 4])
    assert list(tmp_path.rglob("*.nbc"))
    again = jit(doubled)
    again(np.arange(3))
    assert sum(again.stats.cache_hits.values()) == 1


def test_machine_code_is_not_kept_when_another_kernel_changes(monkeypatch, tmp_path):
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    jit(doubled)(np.arange(3))
    monkeypatch.setattr("sdt_lava.kernels.jit._digest", lambda: "another one")
    again = jit(doubled)
    again(np.arange(3))
    assert not sum(again.stats.cache_hits.values())


# Modules whose functions run around kernels, and are part of none.
AROUND = {
    "sdt_lava.errors",
    "sdt_lava.io.files",
    "sdt_lava.ir.windows",
    "sdt_lava.support.allocation",
    "sdt_lava.support.forks",
}


def test_kernels_are_made_of_known_sources_only():
    folder = Path(sdt_lava.__file__).parent.parent
    known = {path.relative_to(folder).with_suffix("") for path in kernel_sources()}
    modules = {".".join(path.parts) for path in known}
    assert len(modules) > 10
    for path in kernel_sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sdt_lava"):
                assert node.module in modules | AROUND, f"{path} imports {node.module}"


def test_a_full_disk_costs_time_only(monkeypatch, tmp_path):
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    function = jit(doubled)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, old[1]))
    try:
        assert np.array_equal(function(np.arange(3)), [0, 2, 4])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert not list(tmp_path.rglob("*.nbc"))


def test_no_folder_at_all(monkeypatch):
    def refuse(function):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr("sdt_lava.kernels.jit._CacheIfPossible", refuse)
    assert np.array_equal(jit(doubled)(np.arange(3)), [0, 2, 4])


def _flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _make_a_folder(path):
    path.unlink()
    path.mkdir()


def _write_a_pickle(path):
    """Numba itself unpickles such a file."""
    path.write_bytes(pickle.dumps(("0.0", (None, {}))))


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "cut off early": lambda path: path.write_bytes(path.read_bytes()[:9]),
    "garbage": lambda path: path.write_bytes(os.urandom(2000)),
    "one bit": _flip_a_bit,
    "a foreign pickle": _write_a_pickle,
    "gone": Path.unlink,
    "a folder": _make_a_folder,
    "a link to itself": lambda path: (path.unlink(), path.symlink_to(path)),
}


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_machine_code_is_compiled_again(monkeypatch, tmp_path, damage, kind):
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    jit(doubled)(np.arange(3))
    (path,) = tmp_path.rglob(f"*.{kind}")
    DAMAGES[damage](path)
    again = jit(doubled)
    assert np.array_equal(again(np.arange(3)), [0, 2, 4])
    assert not sum(again.stats.cache_hits.values())
    if damage == "a folder":  # nothing can be written there: compiled every time
        path.rmdir()
        jit(doubled)(np.arange(3))
    healthy = jit(doubled)
    assert np.array_equal(healthy(np.arange(3)), [0, 2, 4])
    assert sum(healthy.stats.cache_hits.values()) == 1
    assert not list(tmp_path.rglob("*.tmp.*"))


def test_machine_code_that_may_not_be_read_is_compiled_again(monkeypatch, tmp_path):
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    jit(doubled)(np.arange(3))

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    again = jit(doubled)
    assert np.array_equal(again(np.arange(3)), [0, 2, 4])
    assert not sum(again.stats.cache_hits.values())


def test_a_file_in_place_of_the_folder(monkeypatch, tmp_path):
    (tmp_path / "cache").write_text("not a folder")
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path / "cache"))
    assert np.array_equal(jit(doubled)(np.arange(3)), [0, 2, 4])


def test_machine_code_of_other_types_is_never_loaded(monkeypatch, tmp_path):
    """Files that change their places, as two processes that number them at once leave them."""
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    function = jit(doubled)
    function(np.arange(3)), function(np.arange(3.0))
    first, second = tmp_path.rglob("*.nbc")
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    again = jit(doubled)
    assert np.array_equal(again(np.arange(3)), [0, 2, 4])
    assert np.array_equal(again(np.arange(3.0) + 0.5), [1.0, 3.0, 5.0])
    assert not sum(again.stats.cache_hits.values())


def test_processes_that_save_at_the_same_time(monkeypatch, tmp_path):
    """Each has read the index before the other one wrote it."""
    sides = [_CheckedFiles(str(tmp_path), "name", "stamp") for _ in range(2)]
    with monkeypatch.context() as patch:
        patch.setattr(_CheckedFiles, "_load_index", lambda self: {})
        for side, key in zip(sides, ("one", "other"), strict=True):
            side.save(key, f"code of {key}")
    third = _CheckedFiles(str(tmp_path), "name", "stamp")
    assert third.load("one") in (None, "code of one")
    assert third.load("other") in (None, "code of other")
    third.save("one", "code of one")
    assert (third.load("one"), third.load("other")) == ("code of one", "code of other")
    assert _CheckedFiles(str(tmp_path), "name", "newer").load("one") is None


def test_settings_that_change_the_code_have_code_of_their_own(monkeypatch, tmp_path):
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    jit(doubled)(np.arange(3))
    monkeypatch.setattr("numba.core.config.BOUNDSCHECK", 1)
    checked = jit(doubled)
    checked(np.arange(3))
    assert not sum(checked.stats.cache_hits.values())
