"""What an evaluation is of: a run may only be resumed by one that is the same in all of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sdt_lava.datasets.source import MemorySource, SampleSource
from sdt_lava.errors import ConfigError

# 2: no paths; files of data sets that are not in memory.
FORMAT = 2


def network_digest(content: bytes) -> str:
    """Return the SHA-256 of a network file."""
    return hashlib.sha256(content).hexdigest()


def data_digest(source: SampleSource, *, times: bool = True) -> str:
    """Return a digest of a data set, the same however its path was typed.

    Of a data set in memory it covers all samples and labels, which are what was read; of one
    whose files are read sample by sample the labels in their order, and of each file the path
    inside the data set's folder, the size and the time of its last change. Their content is not
    read: whoever replaces a file and gives it the old size and time is not noticed.

    Parameters
    ----------
    source : SampleSource
        Data set.
    times : bool
        Whether times count, which copies on other machines may not have kept.
    """
    digest = hashlib.sha256(f"{source.sample_shape} {len(source)}".encode())
    if isinstance(source, MemorySource):
        digest.update(np.ascontiguousarray(source.data.x).tobytes())
        labels = source.data.y
    else:
        labels = getattr(source, "labels", None)
    digest.update(b"no labels" if labels is None else b"labels")
    if labels is not None:
        digest.update(np.ascontiguousarray(labels, np.int64).tobytes())
    for entry in getattr(source, "listing", tuple)():
        name, size, changed = entry
        digest.update(repr((name, size, changed if times else None)).encode())
    return digest.hexdigest()


def identity(
    network: bytes, source: SampleSource, indices: Any, options: Mapping[str, Any]
) -> dict[str, str]:
    """Return what makes an evaluation the same as another.

    Parameters
    ----------
    network : bytes
        The network file.
    source : SampleSource
        Data set.
    indices : sequence of int
        Samples to evaluate, in order.
    options : mapping
        Whatever else changes results.
    """
    chosen = np.asarray(indices, np.int64)
    return {
        "format": str(FORMAT),
        "network": network_digest(network),
        "data": data_digest(source),
        "samples": f"{len(chosen)} {hashlib.sha256(chosen.tobytes()).hexdigest()}",
        "options": json.dumps(dict(options), sort_keys=True),
    }


def check_same(where: Path, stored: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Check that a resumed evaluation is the one that was begun.

    Raises
    ------
    ConfigError
        Naming what differs.
    """
    for key, value in wanted.items():
        found = stored.get(key)
        if found != value:
            raise ConfigError(
                f"{where}: {key}",
                f"begun with {_short(found)}, now {_short(value)}",
                f"the same {key} as before",
                "repeat the command that was interrupted, or choose another --out",
            )


def _short(text: str | None) -> str:
    return "nothing" if text is None else (text if len(text) <= 80 else text[:77] + "...")
