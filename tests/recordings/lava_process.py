"""Run one of Lava's processes, with Lava's own models, between Lava's ring buffers."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.proc.conv.process import Conv
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.graded.process import GradedVec
from lava.proc.io import sink, source
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.sdn.process import ActivationMode, Delta, Sigma, SigmaDelta
from lava.proc.sparse.process import DelaySparse, Sparse
from scipy.sparse import csr_matrix

from sdt_lava.backends.lava.processes.run_config import run_config
from sdt_lava.backends.lava.session import LavaSession
from tests.recordings.store import Case

_TIMEOUT = 120.0  # [s]
_NEURONS = {"lif": LIF, "lif-reset": LIFReset, "delta": Delta, "sigma": Sigma, "graded": GradedVec}
_MATRICES = {
    "dense": Dense,
    "sparse": Sparse,
    "delay-dense": DelayDense,
    "delay-sparse": DelaySparse,
}
# What is read after each step.
_STATES = {"lif": ("u", "v"), "lif-reset": ("u", "v")}


def run(subject: str, case: Case, executor: str, models: str = "lava") -> Case:
    """Return what a process sends, and its states after each step.

    Parameters
    ----------
    subject : str
        Kind of process.
    case : dict of str to ndarray
        Its parameters, and under ``received`` the messages ``(T, *shape)``.
    executor : {'processes', 'in-process'}
        Lava's own runtime, or ours, see :class:`sdt_lava.backends.lava.session.LavaSession`.
    models : {'lava', 'accelerated'}
        Lava's own process models, or ours of the same processes.
    """
    config = run_config(models)
    fields = {name: _plain(values) for name, values in case.items() if name != "received"}
    received = case["received"].astype(np.int32)
    emitter = source.RingBuffer(data=np.moveaxis(received, 0, -1))
    if subject == "ring-buffers":
        steps = fields["steps"]
        return {"sent": _record(emitter, emitter.s_out, steps, executor, config)["sent"]}
    process = _make(subject, received.shape[1:], fields)
    entry = process.a_in if hasattr(process, "a_in") else process.s_in
    emitter.s_out.connect(entry)
    exit_port = process.s_out if hasattr(process, "s_out") else process.a_out
    states = {name: getattr(process, name) for name in _STATES.get(subject, ())}
    return _record(emitter, exit_port, len(received), executor, config, states)


def _plain(values: np.ndarray) -> Any:
    return values.item() if values.ndim == 0 else values


def _make(subject: str, shape: tuple[int, ...], fields: dict[str, Any]) -> Any:
    if subject in _NEURONS:
        return _NEURONS[subject](shape=shape, **fields)
    if subject == "sigma-delta":
        rectified = fields.pop("rectified")
        mode = ActivationMode.RELU if rectified else ActivationMode.UNIT
        return SigmaDelta(shape=shape, act_mode=mode, **fields)
    if subject in _MATRICES:
        fields["weights"] = fields["weights"].astype(np.int32)
        if "sparse" in subject:
            fields = _as_sparse(fields)
        return _MATRICES[subject](**fields)
    pairs = {name: tuple(fields[name]) for name in ("stride", "padding", "dilation")}
    return Conv(input_shape=shape, **{**fields, **pairs, "weight": fields["weight"].astype(int)})


def _as_sparse(fields: dict[str, Any]) -> dict[str, Any]:
    matrix = csr_matrix(fields["weights"])
    found = {**fields, "weights": matrix}
    if "delays" in fields:
        delays = matrix.astype(int)
        full = np.broadcast_to(fields["delays"], matrix.shape)
        rows, columns = matrix.nonzero()
        delays.data[:] = full[rows, columns]
        found["delays"] = delays
    return found


def _record(
    emitter: Any,
    port: Any,
    steps: int,
    executor: str,
    config: Any,
    states: dict[str, Any] | None = None,
) -> Case:
    recorder = sink.RingBuffer(shape=port.shape, buffer=steps)
    port.connect(recorder.a_in)
    seen: dict[str, list[np.ndarray]] = {name: [] for name in states or {}}
    with LavaSession(emitter, config, timeout=_TIMEOUT, executor=executor) as session:
        for size in [1] * steps if states else [steps]:
            session.run(size)
            for name, variable in (states or {}).items():
                seen[name].append(np.array(variable.get()))
        sent = np.moveaxis(np.array(recorder.data.get()), -1, 0)
    return {"sent": sent.astype(np.int64), **{name: np.array(v) for name, v in seen.items()}}
