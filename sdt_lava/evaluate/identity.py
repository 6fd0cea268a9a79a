"""Identify an evaluation; a run can only be resumed with the same identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sdt_lava.datasets.source import MemorySource, SampleSource
from sdt_lava.errors import ConfigError

# 2: excludes paths, and includes the files of data sets that are not in memory.
FORMAT = 2


def network_digest(content: bytes) -> str:
    """Return the SHA-256 of a network file."""
    return hashlib.sha256(content).hexdigest()


def data_digest(source: SampleSource, *, times: bool = True) -> str:
    """Return a digest of a data set, which does not depend on how its path is written.

    For a data set in memory, the digest covers all samples and labels. For one whose files are
    read sample by sample, it covers the labels in their order and, for each file, the relative
    path, size and modification time. The content of the files is not read, so a file replaced by
    one with the same size and time is not detected.

    Parameters
    ----------
    source : SampleSource
        Data set.
    times : bool
        Whether to include modification times, which copies on other machines may not preserve.
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
        name, size, mtime = entry
        digest.update(repr((name, size, mtime if times else None)).encode())
    return digest.hexdigest()


def identity(
    network: bytes, source: SampleSource, indices: Any, options: Mapping[str, Any]
) -> dict[str, str]:
    """Return the identity of an evaluation: equal identities give equal results.

    Parameters
    ----------
    network : bytes
        Content of the network file.
    source : SampleSource
        Data set.
    indices : sequence of int
        Samples to evaluate, in order.
    options : mapping
        All other options that affect results.
    """
    sample_indices = np.asarray(indices, np.int64)
    return {
        "format": str(FORMAT),
        "network": network_digest(network),
        "data": data_digest(source),
        "samples": f"{len(sample_indices)} {hashlib.sha256(sample_indices.tobytes()).hexdigest()}",
        "options": json.dumps(dict(options), sort_keys=True),
    }


def check_same(where: Path, stored: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Check that a resumed evaluation has the identity of the stored one.

    Raises
    ------
    ConfigError
        If they differ; the message names the difference.
    """
    for key, value in wanted.items():
        stored_value = stored.get(key)
        if stored_value != value:
            raise ConfigError(
                f"{where}: {key}",
                f"begun with {_short(stored_value)}, now {_short(value)}",
                f"the same {key} as before",
                "repeat the command that was interrupted, or choose another --out",
            )


def _short(text: str | None) -> str:
    return "nothing" if text is None else (text if len(text) <= 80 else text[:77] + "...")
