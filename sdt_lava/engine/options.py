"""Define options of the engine that do not change results."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sdt_lava.errors import ConfigError
from sdt_lava.support.allocation import check_guard

# Dense kernels, which multiply every input by the weights of a layer.
DENSE_KERNELS = ("onednn", "float32", "matmul32", "float64", "matmul64", "loops")
KERNELS = ("auto", "event", "lookup", "int16", *DENSE_KERNELS, "interpreter")
DEVICES = ("cpu", "cuda")
DEFAULT_MEMORY = 4 << 30

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class EngineOptions:
    """Options of a run that do not change the result.

    Parameters
    ----------
    kernels : str
        'auto' uses the fastest exact kernel for each layer and piece of work. 'event', 'lookup',
        'int16', 'onednn', 'float32', 'matmul32', 'float64', 'matmul64' and 'loops' select a kernel
        wherever it is supported and exact. 'interpreter' uses no kernels.
    threads : int, optional
        Number of threads; by default the number of cores, or as set by ``OMP_NUM_THREADS`` or
        torch.
    memory : int
        Limit in bytes on the arrays of a batch and the weight tables of kernels. It determines the
        batch size and which kernels have tables.
    batch_size : int, optional
        Number of samples per batch, instead of the one that the memory determines.
    device : {'cpu', 'cuda'}
        Device that runs the graph.
    guard : {'end', 'start'}, optional
        Place every array of kernels between inaccessible memory pages, with this side directly at a
        page. A kernel that accesses memory outside its arrays then crashes the process. For tests;
        slow.

    Raises
    ------
    ConfigError
        If the value of an option is not allowed.
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
    """Parse a size in bytes: 4294967296 for ``'4GiB'``, 4000000000 for ``'4 GB'``.

    Raises
    ------
    ConfigError
        If the text is not a size.
    """
    if isinstance(size, int):
        return size
    match = _SIZE.fullmatch(size)
    if match is None:
        raise ConfigError("memory", repr(size), "bytes, or a size such as '4GiB'")
    number, unit = match.groups()
    return int(float(number) * _UNITS[(unit or "").lower()])
