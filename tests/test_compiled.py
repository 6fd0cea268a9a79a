"""Compiled functions and the folder in which their machine code is kept."""

import ast
import resource
from pathlib import Path

import numpy as np

import sdt_lava
from sdt_lava.compiled import compiled, kernel_sources


def doubled(values):
    return values + values


def test_machine_code_is_kept(monkeypatch, tmp_path):
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    assert np.array_equal(compiled(doubled)(np.arange(3)), [0, 2, 4])
    assert list(tmp_path.rglob("*.nbc"))
    again = compiled(doubled)
    again(np.arange(3))
    assert sum(again.stats.cache_hits.values()) == 1


def test_machine_code_is_not_kept_when_another_kernel_changes(monkeypatch, tmp_path):
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    compiled(doubled)(np.arange(3))
    monkeypatch.setattr("sdt_lava.compiled._digest", lambda: "another one")
    again = compiled(doubled)
    again(np.arange(3))
    assert not sum(again.stats.cache_hits.values())


def test_kernels_are_made_of_known_sources_only():
    folder = Path(sdt_lava.__file__).parent.parent
    known = {path.relative_to(folder).with_suffix("") for path in kernel_sources()}
    modules = {".".join(path.parts) for path in known}
    assert len(modules) > 10
    for path in kernel_sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sdt_lava"):
                assert node.module in modules, f"{path} imports {node.module}"


def test_a_full_disk_costs_time_only(monkeypatch, tmp_path):
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    function = compiled(doubled)
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

    monkeypatch.setattr("sdt_lava.compiled._CacheIfPossible", refuse)
    assert np.array_equal(compiled(doubled)(np.arange(3)), [0, 2, 4])
