"""Define the CPU models of the host-side Processes."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from sdt_lava.backends.lava.processes.host_io.process import (
    FrameSource,
    RecordedSignal,
    SpikeRecorder,
)
from sdt_lava.backends.lava.processes.ports import PortsOnDemand, Receiver
from sdt_lava.errors import DataError


@implements(proc=FrameSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFrameSourceModel(PyLoihiProcessModel):
    """Model that sends one row of a memory-mapped file in each time step."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        # np.asarray keeps the mapping but removes the slow subclass.
        self._frames = np.asarray(np.load(proc_params["frames"], mmap_mode="r"))
        self._silence = np.zeros(self._frames.shape[1], dtype=np.int32)

    def run_spk(self) -> None:
        """Send row ``time_step - 1``, or zeros if there is none."""
        row = self.time_step - 1
        self.s_out.send(self._frames[row] if row < len(self._frames) else self._silence)


@implements(proc=SpikeRecorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySpikeRecorderModel(PyLoihiProcessModel, metaclass=PortsOnDemand):
    """Model that writes the values of each port to row ``time_step - 1`` of its file."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._num_steps = proc_params["num_steps"]
        self._names = proc_params["signal_names"]
        self._rows = {
            port: _create_file(proc_params["files"][port], self._num_steps, signal)
            for port, signal in proc_params["signals"].items()
        }
        # Lava creates ports after the model.
        self._receivers: list[tuple[str, Receiver, np.ndarray]] = []

    def run_spk(self) -> None:
        """Receive from every port and write one row of every file."""
        if self.time_step > self._num_steps:
            raise DataError(
                "the recorder's num_steps",
                f"time step {self.time_step}",
                f"at most {self._num_steps}",
                "build the recorder for as many steps as are run",
            )
        if not self._receivers:
            self._receivers.extend(
                (port, Receiver(getattr(self, port)), rows) for port, rows in self._rows.items()
            )
        for port, receive, rows in self._receivers:
            values, row = receive(), rows[self.time_step - 1]
            if not self._store(values, row):
                self._refuse(port, values, rows.dtype)

    def _store(self, values: np.ndarray, row: np.ndarray) -> bool:
        """Copy values and return whether all of them fit the file's type."""
        np.copyto(row, values, casting="unsafe")
        # Values that fit are equal after the conversion.
        return bool((row == values).all())

    def _refuse(self, port: str, values: np.ndarray, dtype: np.dtype[Any]) -> None:
        limits = np.iinfo(dtype)
        raise DataError(
            f"signal {self._names[port]!r} at time step {self.time_step}",
            f"values from {values.min()} to {values.max()}",
            f"{limits.min} to {limits.max} ({dtype})",
            "record it as int32",
        )


def _create_file(path: str, num_steps: int, signal: RecordedSignal) -> np.ndarray:
    rows = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.dtype(signal.dtype), shape=(num_steps, signal.size)
    )
    _reserve_space(path)
    return np.asarray(rows)


def _reserve_space(path: str) -> None:
    """Reserve disk space, so that a full disk raises an OSError instead of SIGBUS on a write."""
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.path.getsize(path))
