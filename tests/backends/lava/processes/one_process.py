"""Run one Lava Process between a source and a sink, with ProcessModels of choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from lava.proc import io

from sdt_lava.backends.lava.processes.run_config import run_config
from sdt_lava.backends.lava.session import LavaSession


def run_process(
    make: Callable[[], tuple[Any, Any, Any]],
    messages: list[np.ndarray],
    models: str,
    variables: tuple[str, ...] = (),
) -> dict[str, np.ndarray]:
    """Return what a Process sends and what its variables hold at the end.

    Parameters
    ----------
    make : callable
        Returns the Process, its InPort (None if it has a source already) and its OutPort.
    messages : list of ndarray
        ``(T, *shape)`` for each of the sources connected to the InPort, int32.
    models : str
        See `run_config`.
    variables : tuple of str
        Variables of the Process.
    """
    process, in_port, out_port = make()
    steps = len(messages[0])
    for message in messages if in_port is not None else ():
        source = io.source.RingBuffer(data=np.moveaxis(message, 0, -1))
        source.s_out.connect(in_port)
    sink = io.sink.RingBuffer(shape=out_port.shape, buffer=steps)
    out_port.connect(sink.a_in)
    with LavaSession(process, run_config(models), executor="in-process") as session:
        session.run(steps)
        assert session.note == ""
        found = {name: values(getattr(process, name).get()) for name in variables}
        return {"sent": np.moveaxis(sink.data.get(), -1, 0), **found}


def values(variable: Any) -> np.ndarray:
    return variable.toarray() if hasattr(variable, "toarray") else np.asarray(variable)


def assert_same(make: Callable[[], tuple[Any, Any, Any]], messages: Any, *variables: str) -> Any:
    """Compare the accelerated model with Lava's own; returns what was sent."""
    expected = run_process(make, messages, "lava", variables)
    found = run_process(make, messages, "accelerated", variables)
    for name, value in expected.items():
        assert np.array_equal(value, found[name]), name
    return expected["sent"]
