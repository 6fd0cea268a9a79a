"""Compile networks with Lava's compiler, but without its repeated work and leaks."""

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
# Packages whose ProcessModels do not change during a program run.
_FIXED_PACKAGES = ("lava.", "sdt_lava.")

_known_models: dict[type, list[Any]] = {}
# Lava's look-up is replaced for the whole interpreter while one network is compiled.
_compile_lock = ForkSafeLock()


def compile_processes(
    root: AbstractProcess, run_config: RunConfig, compile_config: Mapping[str, Any]
) -> tuple[Any, list[Any]]:
    """Compile all Processes that are connected to a Process.

    Parameters
    ----------
    root : AbstractProcess
        Any Process of the network.
    run_config : RunConfig
        Configuration that selects the ProcessModels.
    compile_config : mapping
        Lava's compiler options.

    Returns
    -------
    executable : lava.magma.compiler.executable.Executable
        Builders of processes and channels.
    processes : list of AbstractProcess
        All Processes of the network, including hierarchical ones, for :func:`forget`.
    """
    compiler_logger = logging.getLogger(_COMPILER_LOGGER)
    handlers = list(compiler_logger.handlers)
    # Processes are collected before the compilation, which bypasses hierarchical ones.
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
            compiler_logger.handlers[:] = handlers  # each compilation adds a handler
            # Remove handlers before a fork; otherwise log records appear once for each Process.
            remove_log_handlers()
        # The compilation creates the parts of hierarchical Processes.
        return executable, processes + _made_since(first_new_id)


def _made_since(first_id: int) -> list[Any]:
    return [process for process in ProcessServer().processes if process.id >= first_id]


@contextmanager
def _models_looked_up_once() -> Iterator[None]:
    """Make Lava look up the models of each kind of Process only once.

    Lava 0.10 executes all modules in the directory of a Process again for every instance, which
    takes 95 % of the compilation time.
    """
    look_up: Callable[[Any], list[Any]] = ProcGroupDiGraphs._find_proc_models
    models: dict[type, list[Any]] = {}

    def find(proc: Any) -> list[Any]:
        kind = type(proc)
        is_fixed = kind.__module__.startswith(_FIXED_PACKAGES)
        known = _known_models if is_fixed else models
        if kind not in known:
            known[kind] = look_up(proc)
        return list(known[kind])

    ProcGroupDiGraphs._find_proc_models = staticmethod(find)
    try:
        yield
    finally:
        ProcGroupDiGraphs._find_proc_models = staticmethod(look_up)


def forget(processes: list[Any]) -> None:
    """Remove Lava's references to Processes, which would keep their weights alive indefinitely.

    Lava only appends to the two lists. Entries of other networks and the counters for unique ids
    are not changed; ``reset_server`` would assign ids twice.
    """
    process_ids = {id(process) for process in processes}
    for process in processes:
        process.runtime = None  # its destructor would stop a runtime that no longer exists
    server, variables = ProcessServer(), VarServer()
    server.processes[:] = [p for p in server.processes if id(p) not in process_ids]
    variables.vars[:] = [v for v in variables.vars if id(v.process) not in process_ids]


def remove_log_handlers() -> None:
    """Remove the handlers that Lava Processes add to the root logger.

    They differ from a program's own handlers by Lava's default format.
    """
    root = logging.getLogger()
    for handler in list(root.handlers):
        layout = handler.formatter
        if type(handler) is not logging.StreamHandler or layout is None:
            continue
        if (layout._fmt, layout.datefmt) == (LogConfig.format, LogConfig.date_format):
            root.removeHandler(handler)


def process_label(process: Any) -> str:
    """Return the label of a Process for messages."""
    return f"{process.name!r} ({type(process).__name__})"
