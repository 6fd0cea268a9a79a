"""Damage to text files: lines, values and nesting of YAML, JSON, TOML and CSV."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from tests.fuzz.mutate_bytes import damaged

_VALUES = (
    "",
    "0",
    "-1",
    "1e999",
    "nan",
    "inf",
    "9" * 400,
    "9" * 5000,
    "0x10",
    "1_000",
    "true",
    "null",
    "''",
    '"x"',
    "[]",
    "[1, 2]",
    "[[[1]]]",
    "{}",
    "{a: 1}",
    "1979-05-27",
    "!!python/object/apply:os.system ['touch ran']",
    "&a [*a]",
    "*a",
    "\x00",
    "\ufeff",
    "\U0001f600",
    "x" * 3000,
    "2",
    "16",
    "1.5",
)
_DEEP = {"[": "]", "{": "}", "a: {": "}", "[a.": "]", '{"a":': "}"}


def damaged_text(rng: Random, text: str, lines: Sequence[str] = ()) -> bytes:
    """Return a text with one to four damages, possibly no longer text.

    Parameters
    ----------
    rng : Random
        All that is random.
    text : str
        The intact file.
    lines : sequence of str
        Lines that mean something in this format and may be put in.
    """
    for _ in range(rng.choice((1, 1, 2, 4))):
        text = _changed(rng, text, lines)
    encoded = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.2:
        return damaged(rng, encoded)
    return encoded.decode("utf-8").encode("utf-16") if rng.random() < 0.03 else encoded


def _changed(rng: Random, text: str, more: Sequence[str]) -> str:
    lines = text.split("\n")
    place = rng.randrange(len(lines))
    action = rng.randrange(8)
    if action == 0:
        del lines[place]
    elif action == 1:
        lines.insert(place, rng.choice(lines))
    elif action == 2:
        lines.insert(place, rng.choice((*more, *_VALUES)))
    elif action in (3, 4):
        value = rng.choice(_VALUES)
        lines[place] = re.sub(r"([=:,]\s*).*", lambda match: match[1] + value, lines[place])
    elif action == 5:
        words = re.findall(r"[\w.\-]+", text) or ["x"]
        lines[place] = lines[place].replace(rng.choice(words), rng.choice((*words, *_VALUES)), 1)
    elif action == 6:
        start, end = rng.choice(list(_DEEP.items()))
        depth = rng.choice((3, 500, 3000))
        lines.insert(place, f"deep = {start * depth}1{end * depth}")
    else:
        lines[place] = rng.choice((lines[place] * 3, " " + lines[place], "\t" + lines[place]))
    return "\n".join(lines)
