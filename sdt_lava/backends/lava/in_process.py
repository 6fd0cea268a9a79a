"""Run every ProcessModel of a network in the calling thread, without Lava's Runtime.

Lava's Runtime starts an operating system process for each Process and synchronises all of them at
every time step. A feed-forward network does not need this: if its models are called one after
another in topological order, they receive, compute and send exactly the same values. Here, the
models therefore run with queues instead of shared memory, without forks, threads and semaphores,
and exceptions propagate normally.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sized
from contextlib import contextmanager
from typing import Any

import numpy as np
from lava.magma.compiler.builders.channel_builder import ChannelBuilderMp
from lava.magma.compiler.builders.py_builder import PyProcessBuilder
from lava.magma.compiler.channels.interfaces import ChannelType
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.process.ports.ports import create_port_id
from lava.utils.sparse import find
from networkx import DiGraph, NetworkXUnfeasible, find_cycle, topological_sort
from scipy.sparse import csr_matrix

from sdt_lava.backends.lava.actors import failure_of
from sdt_lava.backends.lava.compile import process_label
from sdt_lava.backends.lava.process_guard import DeadlinePassed, Terminated, interrupted_at
from sdt_lava.errors import LavaRuntimeError
from sdt_lava.support.allocation import placed

# Hooks of a model between steps; Lava's runtime service calls them after each step.
_GUARDS = ("pre_guard", "lrn_guard", "post_guard")


def obstacle(executable: Any) -> str:
    """Return the reason why a compiled network cannot run in one process, or ''.

    Parameters
    ----------
    executable : lava.magma.compiler.executable.Executable
        Compiled network.
    """
    for process, builder in executable.proc_builders.items():
        reason = _obstacle_of(process, builder)
        if reason:
            return f"{process_label(process)} {reason}"
    for channel in executable.channel_builders:
        is_plain = isinstance(channel, ChannelBuilderMp)
        if not is_plain or channel.channel_type is not ChannelType.PyPy:
            return f"{process_label(channel.src_process)} sends through {type(channel).__name__}"
    try:
        _order(executable)
    except NetworkXUnfeasible:
        cycle = [source for source, _ in find_cycle(_digraph(executable))]
        path = " -> ".join(process.name for process in (*cycle, cycle[0]))
        return f"the network is recurrent ({path})"
    return ""


def _obstacle_of(process: Any, builder: Any) -> str:
    if not isinstance(builder, PyProcessBuilder):
        return "does not run in Python"
    model = builder.proc_model
    if not issubclass(model, PyLoihiProcessModel):
        return "does not keep to time steps"
    if builder.ref_ports or any(port.port_cls for port in builder.var_ports.values()):
        return "shares variables with another process"
    if any(getattr(model, name) is not getattr(PyLoihiProcessModel, name) for name in _GUARDS):
        return "learns or does something between time steps"
    ports = (*process.in_ports, *process.out_ports)
    if any(getattr(port, "external_pipe_flag", False) for port in ports):
        return "talks to the program while it runs"
    return ""


def _digraph(executable: Any) -> DiGraph:
    graph = DiGraph()
    graph.add_nodes_from(executable.proc_builders)
    graph.add_edges_from((c.src_process, c.dst_process) for c in executable.channel_builders)
    return graph


def _order(executable: Any) -> list[Any]:
    return list(topological_sort(_digraph(executable)))


class _Queue:
    """Both ends of a channel, with the interface that Lava's models use.

    Parameters
    ----------
    builder : ChannelBuilderMp
        Compiled channel.
    """

    def __init__(self, builder: Any) -> None:
        source = builder.src_port_initializer
        self.name = source.name
        self.shape, self.d_type, self.size = tuple(source.shape), source.d_type, source.size
        self._dtype = np.dtype(self.d_type)
        self._ends = tuple(map(process_label, (builder.src_process, builder.dst_process)))
        self._messages: deque[Any] = deque()

    def send(self, data: Any) -> None:
        """Append a copy in the type that the sender declares, as shared memory would."""
        if data.shape != self.shape:
            raise AssertionError(f"data.shape={data.shape!r} self._shape={self.shape!r} Mismatch")
        if len(self._messages) == self.size:
            raise LavaRuntimeError(
                f"the channel from {self._ends[0]} to {self._ends[1]}",
                f"holds {self.size} messages that were not received",
                remedy="a model has to receive as often as the other one sends",
            )
        if type(data) is np.ndarray and data.dtype is self._dtype:
            # Keep the memory order of the original, which may be transposed.
            self._messages.append(placed(data.copy("K")))
            return
        if isinstance(data, csr_matrix):
            data = find(data, explicit_zeros=True)[2]
        self._messages.append(placed(np.array(data, dtype=self.d_type)))

    def recv(self) -> Any:
        """Remove and return the oldest message."""
        if not self._messages:
            self._refuse()
        return self._messages.popleft()

    def peek(self) -> Any:
        """Return a copy of the oldest message."""
        if not self._messages:
            self._refuse()
        return self._messages[0].copy()

    def probe(self) -> bool:
        """Return whether there is a message."""
        return bool(self._messages)

    def start(self) -> None:
        """Do nothing: there is no thread."""

    def join(self) -> None:
        """Do nothing: there is no thread."""

    def _refuse(self) -> None:
        raise LavaRuntimeError(
            f"the channel from {self._ends[0]} to {self._ends[1]}",
            "holds no message, and none would ever come",
            remedy="a model has to send as often as the other one receives",
        )


class _ReceiveEnd:
    """Receiving end of a queue, under the name of the receiver's port."""

    def __init__(self, queue: _Queue, name: str) -> None:
        self.name = name
        self.shape, self.d_type, self.size = queue.shape, queue.d_type, queue.size
        self.recv, self.peek, self.probe = queue.recv, queue.peek, queue.probe
        self.start, self.join = queue.start, queue.join


class InProcessRuntime:
    """Runtime that runs a compiled feed-forward network in this thread.

    Parameters
    ----------
    executable : lava.magma.compiler.executable.Executable
        Compiled network for which :func:`obstacle` returns ''.
    """

    def __init__(self, executable: Any) -> None:
        self._executable = executable
        self._processes: list[Any] = []
        self._models: list[Any] = []
        self._variables: dict[int, tuple[Any, str]] = {}
        self._is_ready = False

    @property
    def is_ready(self) -> bool:
        """Whether the network is built, has not failed and waits for a command."""
        return self._is_ready

    def initialize(self) -> None:
        """Connect the queues; `wait_until_built` builds the models."""
        builders = self._executable.proc_builders
        for channel in self._executable.channel_builders:
            queue = _Queue(channel)
            end = _ReceiveEnd(queue, channel.dst_port_initializer.name)
            builders[channel.src_process].set_csp_ports([queue])
            reader = builders[channel.dst_process]
            reader.set_csp_ports([end])
            port = create_port_id(channel.src_process.id, channel.src_port_initializer.name)
            reader.add_csp_port_mapping(port, end)
        self._processes = _order(self._executable)

    def wait_until_built(self, deadline: float | None) -> None:
        """Build every ProcessModel.

        Parameters
        ----------
        deadline : float, optional
            Time limit in terms of ``time.monotonic()``.

        Raises
        ------
        LavaRuntimeError
            If a ProcessModel raises while it is built.
        TimeoutError
            If the deadline passes.
        """
        with interrupted_at(deadline), self._blaming(self._models):
            for process in self._processes:
                self._models.append(self._executable.proc_builders[process].build())
                _check(deadline)
        self._variables = {
            identity: (model, name)
            for model in self._models
            for identity, name in model.var_id_to_var_map.items()
        }
        self._is_ready = True

    def run_steps(self, num_steps: int, deadline: float | None) -> None:
        """Run a number of time steps.

        Parameters
        ----------
        num_steps : int
            Number of steps, at least 1.
        deadline : float, optional
            Time limit in terms of ``time.monotonic()``. It is checked after every step; in the main
            thread, a model that takes longer is also interrupted.

        Raises
        ------
        LavaRuntimeError
            If a ProcessModel raises.
        TimeoutError
            If the deadline passes.
        """
        self._is_ready = False
        done: list[Any] = []
        # Access attributes directly, since Lava's models slowly check the type of every value set.
        steps = [(model, vars(model)) for model in self._models]
        with interrupted_at(deadline), self._blaming(done):
            for _ in range(num_steps):
                done.clear()
                for model, attributes in steps:
                    attributes["time_step"] += 1
                    model.run_spk()
                    done.append(model)
                _check(deadline)
        self._is_ready = True

    @contextmanager
    def _blaming(self, done: Sized) -> Iterator[None]:
        """Convert an exception to an error that names the process after those that are done."""
        try:
            yield
        except (KeyboardInterrupt, Terminated, DeadlinePassed, LavaRuntimeError):
            raise
        except BaseException as error:  # a model may also raise SystemExit
            process = self._processes[len(done)]
            raise failure_of(process_label(process), error) from error

    def get_var(self, var_id: int, idx: Any = None) -> Any:
        """Return the value of a variable as Lava's runtime does, but not element by element."""
        model, name = self._variables[var_id]
        value = getattr(model, name)
        if isinstance(value, csr_matrix):
            values = find(value, explicit_zeros=True)[2].astype(np.float64)
        elif isinstance(value, str):
            values = np.array([list(value.encode("ascii"))], np.float64)
        else:
            values = np.atleast_1d(np.array(value, np.float64))
        return values[idx] if idx else values

    def set_var(self, var_id: int, value: Any, idx: Any = None) -> None:
        """Set a variable between runs; partial assignment by `idx` is not supported."""
        if idx:
            raise LavaRuntimeError("Var.set", "an index", "the whole value")
        model, name = self._variables[var_id]
        old = getattr(model, name)
        if isinstance(old, np.ndarray):
            old[...] = np.reshape(value, old.shape)
        elif isinstance(old, csr_matrix):
            rows, columns, _ = find(old, explicit_zeros=True)
            entries = np.asarray(value, old.dtype)
            setattr(model, name, csr_matrix((entries, (rows, columns)), old.shape))
        elif isinstance(old, str):
            setattr(model, name, bytes(np.asarray(value, np.uint8)).decode("ascii"))
        else:
            setattr(model, name, type(old)(np.asarray(value).item()))
        model.on_var_update()

    def stop(self) -> None:
        """Release the models. May be called repeatedly, as Lava also calls it from destructors."""
        self._is_ready = False
        self._models, self._processes, self._variables = [], [], {}
        self._executable = None


def _check(deadline: float | None) -> None:
    if deadline is not None and time.monotonic() > deadline:
        raise DeadlinePassed
