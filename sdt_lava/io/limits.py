"""Limits on the amount of data read from a file, all in one place.

All limits are far above any legitimate file that we know of, and low enough not to exhaust a
small machine. For a larger, trusted file, raise one:

    with sdt_lava.io.limits.allowing(network_bytes=8 * 2**30):
        graph = sdt_lava.load_network("large.h5")

or ``--allow network-bytes=8GiB`` on the command line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace

from sdt_lava.errors import ConfigError

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_NUMBER = re.compile(r"(\d{1,18})\s*([KMG]i?|)B?")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Upper bounds on the data that is read.

    Parameters
    ----------
    network_bytes : int
        Size of all arrays of a network or NIR file together, uncompressed; the file may have this
        size plus that of its metadata. The largest network of the paper has 0.13 GiB.
    metadata_bytes : int
        Size of the JSON text in a network file.
    network_layers : int
        Number of layers of a network file, or nodes of a NIR file.
    population : int
        Number of values that a node emits in a step.
    unrolled_connections : int
        Number of connections that a lowering with unrolled streams may add to those of the
        network: n sums can expand to 2^n. The paper's deepest network needs about 500.
    checkpoint_bytes : int
        Size of a checkpoint. The largest published one, with optimizer, has about 1.1 GB.
    checkpoint_entries : int
        Number of entries in a checkpoint's archive, and number of its tensors.
    checkpoint_structure_bytes : int
        Size of a checkpoint's pickle, which only holds structure and names; each byte can take
        about a hundred bytes of memory.
    data_values : int
        Number of values in an array of an ``.npz`` file.
    batch_values : int
        Number of 4-byte values that are loaded from a data set at once.
    config_bytes, yaml_bytes : int
        Size of a model configuration in JSON and in YAML.
    description_bytes : int
        Size of a target or an energy model in TOML.
    rates_bytes : int
        Size of a table of firing rates in CSV.
    results_bytes : int
        Size of the database of a resumed evaluation; a sample takes about 100 bytes.
    """

    network_bytes: int = 2**31
    metadata_bytes: int = 16 * 2**20
    network_layers: int = 65_536
    population: int = 2**28
    unrolled_connections: int = 16_384
    checkpoint_bytes: int = 8 * 2**30
    checkpoint_entries: int = 100_000
    checkpoint_structure_bytes: int = 4 * 2**20
    data_values: int = 2**28
    batch_values: int = 2**30
    config_bytes: int = 2**20
    yaml_bytes: int = 2**16
    description_bytes: int = 1_000_000
    rates_bytes: int = 10_000_000
    results_bytes: int = 4 * 2**30

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"limit {option(field.name)}", repr(value), "a positive integer")


DEFAULTS = Limits()
_current: ContextVar[Limits] = ContextVar("limits", default=DEFAULTS)


def limits() -> Limits:
    """Return the limits in effect."""
    return _current.get()


@contextmanager
def allowing(**changes: int) -> Iterator[Limits]:
    """Change limits inside the block, in the current thread.

    Parameters
    ----------
    **changes : int
        Fields of `Limits` and their new values.

    Raises
    ------
    ConfigError
        If a limit does not exist, or its value is not a positive integer.
    """
    token = _current.set(_changed(changes))
    try:
        yield limits()
    finally:
        _current.reset(token)


def _changed(changes: Mapping[str, int]) -> Limits:
    names = {field.name for field in fields(Limits)}
    unknown = sorted(set(changes) - names)
    if unknown:
        raise ConfigError("limit", repr(option(unknown[0])), f"one of {sorted(map(option, names))}")
    return replace(limits(), **changes)


def option(name: str) -> str:
    """Return the name of a limit on the command line."""
    return name.replace("_", "-")


def parse(text: str) -> dict[str, int]:
    """Parse a limit in the form ``NAME=VALUE``.

    Parameters
    ----------
    text : str
        Such as ``'network-bytes=8GiB'``; K, M, G are powers of 1000, Ki, Mi, Gi of 1024.

    Raises
    ------
    ConfigError
        If the text does not have this form.
    """
    name, _, value = text.partition("=")
    match = _NUMBER.fullmatch(value.strip())
    if match is None:
        raise ConfigError(
            "--allow", repr(text), "NAME=VALUE, such as network-bytes=8GiB or network-layers=100000"
        )
    return {name.strip().replace("-", "_"): int(match[1]) * _UNITS[match[2]]}


def remedy(name: str) -> str:
    """Return the remedy for a file that exceeds a limit."""
    return (
        f"if you trust the file, raise the limit: --allow {option(name)}=VALUE "
        f"(in Python: with sdt_lava.io.limits.allowing({name}=VALUE))"
    )
