"""Text of unknown origin, made safe to show: names in files and paths may hold anything."""

from __future__ import annotations

import shlex

# Of a name in a figure, where no terminal cuts it off.
_MOST_LABEL = 80


def printable(text: str) -> str:
    r"""Return a text without characters that a terminal obeys; lines stay lines.

    Escape sequences, other control characters, letters that turn the direction of writing,
    invisible ones and halves of surrogates are shown as Python writes them, such as ``\x1b``.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text
    )


def one_line(text: str) -> str:
    """Return a printable text in which line breaks are shown, too, such as a name or a path."""
    return printable(text).replace("\n", "\\n")


def quoted(word: object) -> str:
    """Return a word as it stands in a command that is shown: a shell obeys nothing in it."""
    return one_line(shlex.quote(str(word)))


def figure_label(text: str) -> str:
    """Return a text as matplotlib has to be given it to show it: ``$`` starts no formula there."""
    line = one_line(text)
    if len(line) > _MOST_LABEL:
        line = f"{line[: _MOST_LABEL - 1]}\u2026"
    # Legends leave out what begins with an underscore.
    line = f" {line}" if line.startswith("_") else line
    return line.replace("$", r"\$")
