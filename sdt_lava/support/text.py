"""Make untrusted text safe to display; names in files and paths may contain any character."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

# Longest label in a figure, where no terminal truncates it.
_MOST_LABEL = 80
# Names in a file are shown to the user; a malicious file could have very many or very long ones.
_SHOWN_NAMES = 12
_SHOWN_CHARACTERS = 80


def printable(text: str) -> str:
    r"""Replace characters that could affect a terminal by their escapes; keep line breaks.

    Escape sequences, other control characters, characters that change the writing direction,
    invisible characters and lone surrogates are shown as Python writes them, such as ``\x1b``.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text
    )


def one_line(text: str) -> str:
    """Return a printable text, such as a name or a path, with line breaks escaped as well."""
    return printable(text).replace("\n", "\\n")


def quoted(word: object) -> str:
    """Quote a word for a command that is displayed, so that a shell takes it literally."""
    return one_line(shlex.quote(str(word)))


def figure_label(text: str) -> str:
    """Escape a text for a matplotlib label, so that ``$`` does not start a formula."""
    label = one_line(text)
    if len(label) > _MOST_LABEL:
        label = f"{label[: _MOST_LABEL - 1]}\u2026"
    # Matplotlib omits labels that start with an underscore from legends.
    label = f" {label}" if label.startswith("_") else label
    return label.replace("$", r"\$")


def listed(names: Sequence[str], most: int = _SHOWN_NAMES) -> str:
    """Return a list of names for a message, shortened if they are many or long."""
    text = ", ".join(repr(name[:_SHOWN_CHARACTERS]) for name in names[:most])
    rest = len(names) - most
    return f"{text} and {rest} more" if rest > 0 else text
