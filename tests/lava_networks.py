"""Small Lava networks that may fail, and the search for what a run may have left behind."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from lava.magma.core.process.process import AbstractProcess, ProcessServer
from lava.magma.core.process.variable import VarServer
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.process import Dense
from lava.proc.lif.process import LIF

from sdt_lava.backends.lava.processes.host_io import FrameSource, RecordedSignal, SpikeRecorder
from sdt_lava.backends.lava.session import LavaSession
from tests.lava_faults import Fault
from tests.left_behind import WAIT, becomes, children, unused_shared_memory

SIZE, STEPS, VTH = 6, 12, 60


# -- what must not be left behind --------------------------------------------------------------


@contextlib.contextmanager
def nothing_left_behind() -> Iterator[None]:
    """Check that the block leaves no process, shared memory, log or signal handler behind."""
    before = children(), unused_shared_memory(), list(logging.getLogger().handlers)
    sigint, sigterm = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    yield
    assert children() == before[0]
    assert becomes(lambda: not unused_shared_memory() - before[1])
    # A session also removes handlers of processes that were built before and never ran.
    assert set(logging.getLogger().handlers) <= set(before[2])
    assert signal.getsignal(signal.SIGINT) == sigint
    assert signal.getsignal(signal.SIGTERM) == sigterm


def footprint() -> dict[str, int]:
    """Count what stock Lava lets grow from one network to the next."""
    gc.collect()
    return {
        "threads": threading.active_count(),
        "handlers": len(logging.getLogger().handlers),
        "compiler handlers": len(logging.getLogger("lava.magma.compiler.compiler").handlers),
        "processes": len(ProcessServer().processes),
        "variables": len(VarServer().vars),
        "living processes": sum(isinstance(o, AbstractProcess) for o in gc.get_objects()),
        "files": len(os.listdir("/proc/self/fd")),
    }


# -- networks ----------------------------------------------------------------------------------


def run_config() -> Loihi2SimCfg:
    return Loihi2SimCfg(select_tag="fixed_pt")


class Network:
    """source -> [fault] -> Dense -> [fault] -> LIF -> recorder [-> fault]."""

    def __init__(self, folder: Path, kind="none", step=1, place="middle", steps=STEPS) -> None:
        rng = np.random.default_rng(3)
        self.frames = (rng.random((steps, SIZE)) < 0.4).astype(np.int32)
        self.weights = rng.integers(-60, 120, (SIZE, SIZE)) // 2 * 2
        np.save(folder / "frames.npy", self.frames)
        source = FrameSource(folder / "frames.npy", name="source")
        fault = Fault(SIZE, kind, step)
        dense = Dense(weights=self.weights, name="dense")
        lif = LIF(shape=(SIZE,), du=4095, dv=2048, vth=VTH, name="lif")
        signals = {"input": RecordedSignal(SIZE), "lif/spikes": RecordedSignal(SIZE, "int32")}
        self.recorder = SpikeRecorder(signals, folder, steps, name="recorder")
        chains = {
            "first": [(fault.s_out, dense.s_in), (dense.a_out, lif.a_in)],
            "middle": [
                (source.s_out, dense.s_in),
                (dense.a_out, fault.a_in),
                (fault.s_out, lif.a_in),
            ],
            "last": [
                (source.s_out, dense.s_in),
                (dense.a_out, lif.a_in),
                (lif.s_out, fault.a_in),
            ],
        }
        for out_port, in_port in chains[place]:
            out_port.connect(in_port)
        source.s_out.connect(self.recorder.port("input"))
        lif.s_out.connect(self.recorder.port("lif/spikes"))
        if place == "first":
            source.s_out.connect(fault.a_in)
        self.root, self.dense, self.lif = source, dense, lif

    def session(self, timeout: float | None = WAIT) -> LavaSession:
        return LavaSession(self.root, run_config(), timeout=timeout)

    def expected(self) -> np.ndarray:
        """Spikes by the equation: one step of delay, leak 1/2 towards zero, hard reset."""
        v, spikes = np.zeros(SIZE, dtype=np.int64), np.zeros_like(self.frames)
        for t in range(1, len(self.frames)):
            v = np.trunc(v / 2).astype(np.int64) + (self.weights @ self.frames[t - 1] << 6)
            spikes[t] = v > VTH << 6
            v[spikes[t] == 1] = 0
        return spikes

    def check(self) -> None:
        assert np.array_equal(self.recorder.read("input"), self.frames)
        assert np.array_equal(self.recorder.read("lif/spikes"), self.expected())
        assert self.expected().any()
