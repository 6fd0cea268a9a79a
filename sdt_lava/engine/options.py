"""How the engine runs; none of it changes a result."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sdt_lava.errors import ConfigError
from sdt_lava.support.allocation import check_guard

# Ways to add up a layer's weights: these multiply every input.
DENSE_KERNELS = ("onednn", "float32", "matmul32", "float64", "matmul64", "loops")
KERNELS = ("auto", "event", "lookup", "int16", *DENSE_KERNELS, "interpreter")
DEVICES = ("cpu", "cuda")
DEFAULT_MEMORY = 4 << 30

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class EngineOptions:
    """How to run, without influence on the result.

    Parameters
    ----------
    kernels : str
        'auto': the fastest exact kernel for each layer and piece of work. 'event', 'lookup',
        'int16', 'onednn', 'float32', 'matmul32', 'float64', 'matmul64', 'loops': that one wherever
        it can be used and is exact. 'interpreter': no kernels at all.
    threads : int, optional
        Threads; by default as many as there are cores, or as ``OMP_NUM_THREADS`` or torch says.
    memory : int
        Bytes that arrays of a batch, and the forms of the weights that kernels read, may take;
        decides how many samples are computed at once, and which kernels have tables.
    batch_size : int, optional
        Samples at once, instead.
    device : {'cpu', 'cuda'}
        Where it runs.
    guard : {'end', 'start'}, optional
        Put every array of the kernels between pages that nobody may touch, with this side directly
        at one: a kernel that leaves its arrays ends the process. For tests; slow.

    Raises
    ------
    ConfigError
        If a value is not allowed.
    """

    kernels: str = "auto"
    threads: int | None = None
    memory: int = DEFAULT_MEMORY
    batch_size: int | None = None
    device: str = "cpu"
    guard: str | None = None

    def __post_init__(self) -> None:
        for name, allowed in (("kernels", KERNELS), ("device", DEVICES)):
            if getattr(self, name) not in allowed:
                raise ConfigError(name, repr(getattr(self, name)), f"one of {allowed}")
        if self.device != "cpu" and self.kernels not in ("auto", "interpreter"):
            raise ConfigError("kernels", f"{self.kernels!r} on a GPU", "'auto': there is one way")
        check_guard(self.guard)
        for name in ("threads", "memory", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(name, str(value), "at least 1")


def parse_memory(size: int | str) -> int:
    """Return a number of bytes: 4294967296 for ``'4GiB'``, 4000000000 for ``'4 GB'``.

    Raises
    ------
    ConfigError
        If it is no size.
    """
    if isinstance(size, int):
        return size
    match = _SIZE.fullmatch(size)
    if match is None:
        raise ConfigError("memory", repr(size), "bytes, or a size such as '4GiB'")
    number, unit = match.groups()
    return int(float(number) * _UNITS[(unit or "").lower()])
