"""Compilation by Lava's compiler, without what it does again and again or leaves behind."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs, find_processes
from lava.magma.core.process.process import AbstractProcess, LogConfig, ProcessServer
from lava.magma.core.process.variable import VarServer
from lava.magma.core.run_configs import RunConfig

from sdt_lava.support.forks import ForkSafeLock

_COMPILER_LOGGER = "lava.magma.compiler.compiler"
# Packages whose ProcessModels do not change while a program runs.
_FIXED_PACKAGES = ("lava.", "sdt_lava.")

_known_models: dict[type, list[Any]] = {}
# The look-up is replaced while one network is compiled, for the whole interpreter.
_compile_lock = ForkSafeLock()


def compile_processes(
    root: AbstractProcess, run_config: RunConfig, compile_config: Mapping[str, Any]
) -> tuple[Any, list[Any]]:
    """Compile all Processes that are connected to one.

    Parameters
    ----------
    root : AbstractProcess
        Any Process of the network.
    run_config : RunConfig
        Selects the ProcessModels.
    compile_config : mapping
        Lava's compiler options.

    Returns
    -------
    executable : lava.magma.compiler.executable.Executable
        Builders of processes and channels.
    processes : list of AbstractProcess
        Every Process of the network, hierarchical ones included, for :func:`forget`.
    """
    compiler_logger = logging.getLogger(_COMPILER_LOGGER)
    handlers = list(compiler_logger.handlers)
    # Before the compilation, which connects past the hierarchical Processes.
    processes = list(find_processes(root))
    with _compile_lock.held(), _models_looked_up_once():
        first_new_id = ProcessServer()._next_id
        try:
            executable = root.compile(run_config, dict(compile_config))
            processes += executable.process_list
        except BaseException:
            forget(processes + _made_since(first_new_id))
            raise
        finally:
            compiler_logger.handlers[:] = handlers  # each compilation adds one
            # Before a fork: otherwise a log record appears once for each Process.
            remove_log_handlers()
        # The parts of hierarchical Processes came into being during the compilation.
        return executable, processes + _made_since(first_new_id)


def _made_since(first_id: int) -> list[Any]:
    return [process for process in ProcessServer().processes if process.id >= first_id]


@contextmanager
def _models_looked_up_once() -> Iterator[None]:
    """Make Lava look for the models of each kind of Process once.

    Lava 0.10 executes all modules in the folder of a Process again for every instance, which is
    95 % of the time that a compilation takes.
    """
    look_up: Callable[[Any], list[Any]] = ProcGroupDiGraphs._find_proc_models
    found: dict[type, list[Any]] = {}

    def find(proc: Any) -> list[Any]:
        kind = type(proc)
        is_fixed = kind.__module__.startswith(_FIXED_PACKAGES)
        known = _known_models if is_fixed else found
        if kind not in known:
            known[kind] = look_up(proc)
        return list(known[kind])

    ProcGroupDiGraphs._find_proc_models = staticmethod(find)
    try:
        yield
    finally:
        ProcGroupDiGraphs._find_proc_models = staticmethod(look_up)


def forget(processes: list[Any]) -> None:
    """Cut the references by which Lava keeps Processes, and their weights, for ever.

    Lava only ever appends to these two lists. Other networks' entries, and the counters that make
    ids unique, stay as they are; ``reset_server`` would hand out ids twice.
    """
    ours = {id(process) for process in processes}
    for process in processes:
        process.runtime = None  # its destructor would stop a runtime that is gone
    server, variables = ProcessServer(), VarServer()
    server.processes[:] = [p for p in server.processes if id(p) not in ours]
    variables.vars[:] = [v for v in variables.vars if id(v.process) not in ours]


def remove_log_handlers() -> None:
    """Remove the handler that each Lava Process adds to the root logger.

    They are told from a program's own handlers by their format, Lava's default.
    """
    root = logging.getLogger()
    for handler in list(root.handlers):
        layout = handler.formatter
        if type(handler) is not logging.StreamHandler or layout is None:
            continue
        if (layout._fmt, layout.datefmt) == (LogConfig.format, LogConfig.date_format):
            root.removeHandler(handler)


def process_label(process: Any) -> str:
    """Name a Process in messages."""
    return f"{process.name!r} ({type(process).__name__})"
