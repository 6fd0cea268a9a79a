"""Notes about irregularities in a file that the reader accepts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

# Maximum number of notes; more would hide the important ones, and a file may have many members.
_MOST = 100
# Maximum number of names in a note.
_SHOWN = 12


@dataclass
class Notes:
    """Notes for the user of a network about its file.

    Parameters
    ----------
    root : str
        Name of the file in errors, which notes omit.
    lines : list of str
        The notes, one sentence each.
    """

    root: str = ""
    lines: list[str] = field(default_factory=list)

    def add(self, where: str, text: str) -> None:
        """Add a note about a location, which is named as in errors."""
        if len(self.lines) < _MOST:
            location = where.removeprefix(self.root).lstrip("/:") or "file"
            self.lines.append(f"{location}: {text}")
        elif len(self.lines) == _MOST:
            self.lines.append("there is more of this kind")

    def unused(
        self, where: str, present: Iterable[str], known: Collection[str], what: str = "member"
    ) -> None:
        """Add a note that lists unused members."""
        names = [ascii(name)[1:-1] for name in present if name not in known]
        if names:
            text = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
            self.add(where, f"{what}{'s' * (len(names) > 1)} not used: {text}")
