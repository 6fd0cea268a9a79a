"""Compilation: each kind of Process is looked up once, and nothing of Lava stays changed."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs
from lava.magma.core.process.process import ProcessServer
from lava.magma.core.process.variable import VarServer
from lava.proc.dense.process import Dense
from lava.proc.lif.process import LIF

from sdt_lava.backends.lava import compile as lava_compile
from sdt_lava.backends.lava.compile import compile_processes, forget
from sdt_lava.backends.lava.processes.run_config import run_config
from tests.lava_faults import Fault, NoModel

pytestmark = pytest.mark.lava


def chain(length: int) -> LIF:
    """LIF -> Dense -> LIF -> ... with a process of ours at the end."""
    first = last = LIF(shape=(2,))
    for _ in range(length):
        dense, lif = Dense(weights=np.eye(2)), LIF(shape=(2,))
        last.s_out.connect(dense.s_in)
        dense.a_out.connect(lif.a_in)
        last = lif
    for _ in range(2):
        last.s_out.connect(Fault(2).a_in)
    return first


@pytest.fixture
def looked_up(monkeypatch):
    """Kinds of Process that Lava has looked up."""
    found: list[type] = []
    original = ProcGroupDiGraphs._find_proc_models

    def count(proc):
        found.append(type(proc))
        return original(proc)

    monkeypatch.setattr(ProcGroupDiGraphs, "_find_proc_models", staticmethod(count))
    monkeypatch.setattr(lava_compile, "_known_models", {})
    return found


def compile_chain(length: int = 5) -> int:
    executable, processes = compile_processes(chain(length), run_config(), {})
    forget(processes)
    return len(executable.proc_builders)


def test_each_kind_is_looked_up_once(looked_up):
    assert compile_chain() == 13
    assert sorted(kind.__name__ for kind in looked_up) == ["Dense", "Fault", "LIF"]


def test_only_those_of_a_program_are_looked_up_again(looked_up):
    """A program may define further models for its own Processes, as in a notebook."""
    compile_chain()
    looked_up.clear()
    compile_chain()
    assert looked_up == [Fault]


def test_lava_is_as_before_also_after_a_failure():
    look_up = ProcGroupDiGraphs._find_proc_models
    before = list(ProcessServer().processes), list(VarServer().vars)
    compile_chain()
    root = chain(1)
    root.s_out.connect(NoModel(2).a_in)
    with pytest.raises(Exception, match="No ProcessModel"):
        compile_processes(root, run_config(), {})
    assert ProcGroupDiGraphs._find_proc_models is look_up
    assert (ProcessServer().processes, VarServer().vars) == before


def test_threads_compile_one_after_another():
    look_up = ProcGroupDiGraphs._find_proc_models
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(compile_chain(3))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [9] * 4
    assert ProcGroupDiGraphs._find_proc_models is look_up
