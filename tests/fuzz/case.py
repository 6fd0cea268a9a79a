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
