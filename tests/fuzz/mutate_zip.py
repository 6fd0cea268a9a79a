"""Damage to zip archives, which checkpoints and .npz files are."""

from __future__ import annotations

import io
import warnings
import zipfile
from random import Random

Entries = dict[str, bytes]


def entries(content: bytes) -> Entries:
    """Return the entries of an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: Entries | list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive, also one with several entries of one name."""
    buffer = io.BytesIO()
    pairs = files.items() if isinstance(files, dict) else files
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as archive:
        warnings.simplefilter("ignore")
        for name, data in pairs:
            archive.writestr(name, data)
    return buffer.getvalue()


def change_entries(rng: Random, files: Entries) -> bytes:
    """Return an archive with entries missing, added, doubled, renamed, cut or compressed."""
    names = list(files)
    name, other = rng.choice(names), rng.choice(names)
    pairs = list(files.items())
    method = zipfile.ZIP_STORED
    action = rng.randrange(9)
    if action == 0:
        pairs = [pair for pair in pairs if pair[0] != name]
    elif action == 1:
        pairs.append((name, files[other]))
    elif action == 2:
        pairs.append((f"{name}{rng.choice(('x', '/../../x', '/data.pkl', chr(10)))}", b"x"))
    elif action == 3:
        pairs = [(other if key == name else key, value) for key, value in pairs]
    elif action == 4:
        size = rng.choice((0, 1, len(files[name]) // 2, len(files[name]) + 100))
        longer = files[name] + bytes(200)
        pairs = [(key, longer[:size] if key == name else value) for key, value in pairs]
    elif action == 5:
        pairs.append((f"{names[0].split('/')[0]}/data/bomb", bytes(20_000_000)))
        method = rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    elif action == 6:
        method = rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    elif action == 7:
        pairs += [(f"{names[0].split('/')[0]}/data/more{index}", b"") for index in range(3000)]
    else:
        return _with_other_sizes(rng, packed(files))
    return packed(pairs, method)


def _with_other_sizes(rng: Random, content: bytes) -> bytes:
    """Let the directory of the archive lie about sizes, places, methods and flags."""
    changed = bytearray(content)
    start = changed.find(b"PK\x01\x02")
    for _ in range(rng.randrange(1, 4)):
        if start < 0:
            break
        # Offsets of flags, method, packed and unpacked size, disk and place of an entry.
        offset, size = rng.choice(((8, 2), (10, 2), (20, 4), (24, 4), (34, 2), (42, 4)))
        value = rng.choice((0, 1, 8, 12, 14, 99, 2**15, 2**31, 2**32 - 1)) % 2 ** (8 * size)
        place = start + offset
        changed[place : place + size] = value.to_bytes(size, "little")
        start = changed.find(b"PK\x01\x02", start + 4)
    return bytes(changed)
