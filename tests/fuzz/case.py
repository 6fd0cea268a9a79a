"""What a case of the fuzzer is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

# A case's file, or folder, is made from a random state, a folder of its own and the canaries.
Make = Callable[["Source"], Path]
Load = Callable[[Path], None]


@dataclass(frozen=True)
class Source:
    """Where a case comes from.

    Parameters
    ----------
    rng : Random
        All that is random in it.
    folder : Path
        Empty; the case's files go there.
    canary : Path
        Folder with `canary.h5` and `canary.bin`, which links may name and nobody may open.
    """

    rng: Random
    folder: Path
    canary: Path

    @property
    def marker(self) -> Path:
        """A file that exists only if code of the case ran."""
        return self.canary / "ran"


@dataclass(frozen=True)
class Kind:
    """A kind of file: how a case is made, and how a command reads it."""

    name: str
    make: Make
    load: Load


@dataclass(frozen=True)
class Allowance:
    """What a case may take by the size of its files: more is a failure, whatever came of it.

    Parameters
    ----------
    seconds, seconds_per_mib : float
        Processor time, of all threads.
    mib, mib_per_mib : float
        By how much the resident set may grow.
    """

    seconds: float
    seconds_per_mib: float
    mib: float
    mib_per_mib: float

    def excess(self, nbytes: int, seconds: float, mib: float) -> str:
        """Return what was too much, or nothing."""
        size = nbytes / 2**20
        longest = self.seconds + self.seconds_per_mib * size
        largest = self.mib + self.mib_per_mib * size
        if seconds > longest:
            return f"{seconds:.1f} s for {nbytes} bytes, where {longest:.1f} are allowed"
        if mib > largest:
            return f"{mib:.0f} MiB for {nbytes} bytes, where {largest:.0f} are allowed"
        return ""


# The longest case of a correct reader takes two seconds, compiling and simulating included; the
# search of a network's lowerings has a fixed budget of about five.
ALLOWANCE = Allowance(seconds=12.0, seconds_per_mib=20.0, mib=400.0, mib_per_mib=128.0)
