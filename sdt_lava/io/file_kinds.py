"""Detect the kind of a file from its first bytes, to explain errors about misplaced files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sdt_lava.errors import DataError
from sdt_lava.io.files import open_regular
from sdt_lava.support.text import quoted

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
_NPY = b"\x93NUMPY"
_NIR_SUFFIX = ".nir"
_TEXT_SUFFIXES = (".yml", ".yaml", ".json")
# A local header of a zip archive: length of the name, offset of the name, and bytes read of a file.
_NAME_LENGTH = slice(26, 28)
_NAME = 30
_HEAD = 1024
_SAFETENSORS_LENGTH = 8


@dataclass(frozen=True)
class FileKind:
    """A kind of file.

    Parameters
    ----------
    name : str
        'network', 'nir', 'checkpoint', 'data', 'configuration' or 'image'.
    what : str
        Description of the kind.
    use : str
        Advice on how to use such a file, with ``{}`` as placeholder for its name.
    """

    name: str
    what: str
    use: str

    def remedy(self, path: str | os.PathLike[str]) -> str:
        """Return advice, as a command, on how to use a file of this kind."""
        return self.use.format(quoted(path))


NETWORK = FileKind(
    "network", "an HDF5 file, such as a network file", "use it as the network: sdt-lava info {}"
)
NIR = FileKind("nir", "a NIR graph", "make a network of it: sdt-lava nir {} --out net.h5")
CHECKPOINT = FileKind(
    "checkpoint", "a checkpoint (weights)", "make a network of it: sdt-lava export {} --out net.h5"
)
DATA = FileKind("data", "data (arrays of NumPy)", "pass it as data: --data {}")
CONFIGURATION = FileKind(
    "configuration", "a configuration (text)", "pass it as configuration: --config {}"
)


def file_kind(path: str | os.PathLike[str]) -> FileKind | None:
    """Return the kind of a file, or None if no command reads such a file.

    The kind of a file that cannot be opened is None; reading the file raises the reason.
    """
    try:
        with open_regular(path, DataError) as file:
            head = file.read(_HEAD)
            size = file.seek(0, os.SEEK_END)
    except (OSError, DataError):
        return None
    suffix = Path(os.fsdecode(path)).suffix.lower()
    if head.startswith(_HDF5):
        return NIR if suffix == _NIR_SUFFIX else NETWORK
    if head.startswith(_ZIP):
        return _archive(head)
    if head.startswith(_NPY):
        return DATA
    length = int.from_bytes(head[:_SAFETENSORS_LENGTH], "little")
    if head[_SAFETENSORS_LENGTH:][:1] == b"{" and length <= size - _SAFETENSORS_LENGTH:
        return CHECKPOINT
    return CONFIGURATION if suffix in _TEXT_SUFFIXES else None


def misplaced(path: str | os.PathLike[str], *wanted: FileKind) -> tuple[str, str] | None:
    """Return the description and the remedy of a file that is not of a wanted kind, else None."""
    kind = file_kind(path)
    return None if kind is None or kind in wanted else (kind.what, kind.remedy(path))


def _archive(head: bytes) -> FileKind | None:
    """Distinguish zip archives of torch and NumPy by the name of their first entry."""
    name = head[_NAME:][: int.from_bytes(head[_NAME_LENGTH], "little")]
    if name.endswith(b".npy"):
        return DATA
    return CHECKPOINT if name.endswith((b"/data.pkl", b".pkl")) else None
