"""Read the input and write the output of a Lava network as plain ``.npy`` files.

To find ProcessModels, Lava's compiler executes every module of this directory again for each
Process instance. The modules are therefore few, fast to import and free of side effects.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess

from sdt_lava.backends.lava.processes.ports import IN_PORT_PREFIX
from sdt_lava.errors import DataError


class _HostProcess(AbstractProcess):
    # Lava's destructor reads this even if __init__ raised an error.
    _runtime = None


class FrameSource(_HostProcess):
    """Process that sends the rows of a file, one per time step, and then zeros.

    Parameters
    ----------
    frames : str or os.PathLike
        A ``.npy`` file of int32 with the shape (steps, n). It is memory-mapped and never loaded as
        a whole.
    name : str, optional
        Name of the Process.

    Attributes
    ----------
    s_out : OutPort
        Port of shape (n,), which sends row t - 1 at time step t = 1, 2, ...

    Raises
    ------
    DataError
        If the file cannot be read or does not contain a two-dimensional int32 array.
    """

    def __init__(self, frames: str | os.PathLike[str], name: str | None = None) -> None:
        path = Path(frames).resolve()
        width = _frame_width(path)
        super().__init__(frames=str(path), name=name)
        self.s_out = OutPort(shape=(width,))


def _frame_width(path: Path) -> int:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(str(path), f"cannot be read: {error}", "a .npy file") from error
    if array.dtype != np.int32 or array.ndim != 2 or array.shape[1] == 0:
        raise DataError(
            str(path),
            f"an array of {array.dtype} with shape {array.shape}",
            "int32 of shape (steps, n), n > 0",
        )
    return int(array.shape[1])


class RecordedSignal(NamedTuple):
    """Format of a recorded signal.

    Parameters
    ----------
    size : int
        Number of values per time step.
    dtype : str
        Type in the file: ``"uint8"`` for spikes, ``"int32"`` for graded values.
    """

    size: int
    dtype: str = "uint8"


class SpikeRecorder(_HostProcess):
    """Process that writes signals to one ``.npy`` file each, with one row per time step.

    All signals share one operating system process, and values are written directly from the channel
    to the file. Reading a Var from a running network would take tens of microseconds per element.

    Parameters
    ----------
    signals : Mapping[str, RecordedSignal]
        Size and file type of each signal.
    directory : str or os.PathLike
        Existing directory for the files. Their names are numbers, because a signal name may contain
        any character.
    num_steps : int
        Number of time steps of the run, which is the number of rows of each file.
    name : str, optional
        Name of the Process.

    Raises
    ------
    DataError
        If a size, a type or the number of steps is invalid.
    """

    def __init__(
        self,
        signals: Mapping[str, RecordedSignal],
        directory: str | os.PathLike[str],
        num_steps: int,
        name: str | None = None,
    ) -> None:
        _check_signals(signals, num_steps)
        folder = Path(directory).resolve()
        self._files = {
            signal: folder / f"signal_{index:04d}.npy" for index, signal in enumerate(signals)
        }
        self._port_names = {
            signal: f"{IN_PORT_PREFIX}{index}" for index, signal in enumerate(signals)
        }
        super().__init__(
            files={self._port_names[s]: str(self._files[s]) for s in signals},
            signals={self._port_names[s]: signals[s] for s in signals},
            signal_names={port: signal for signal, port in self._port_names.items()},
            num_steps=num_steps,
            name=name,
        )
        for signal, port in self._port_names.items():
            setattr(self, port, InPort(shape=(signals[signal].size,)))

    def port(self, signal: str) -> InPort:
        """Return the InPort of a signal, with the shape (size,)."""
        return getattr(self, self._port_names[signal])

    def path(self, signal: str) -> Path:
        """Return the file of a signal."""
        return self._files[signal]

    def read(self, signal: str) -> np.ndarray:
        """Return the memory-mapped recording of a signal, with the shape (num_steps, size)."""
        array: np.ndarray = np.load(self._files[signal], mmap_mode="r", allow_pickle=False)
        return array


def _check_signals(signals: Mapping[str, RecordedSignal], num_steps: int) -> None:
    if not signals:
        raise DataError("signals", "nothing to record", "at least one signal")
    if num_steps < 1:
        raise DataError("num_steps", str(num_steps), "at least 1")
    for name, signal in signals.items():
        if signal.size < 1 or signal.dtype not in ("uint8", "int32"):
            raise DataError(
                f"signal {name!r}",
                f"{signal.size} values of {signal.dtype}",
                "at least one value, of uint8 or int32",
            )
