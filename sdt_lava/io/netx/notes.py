"""What a reader noticed in a file without refusing it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

# Notes of a file; more would hide what matters, and a file may have any number of members.
_MOST = 100
# Names in one note.
_SHOWN = 12


@dataclass
class Notes:
    """A sentence for each thing that a network's user should know about its file.

    Parameters
    ----------
    root : str
        How errors call the file; notes leave it out.
    lines : list of str
        What was noted.
    """

    root: str = ""
    lines: list[str] = field(default_factory=list)

    def add(self, where: str, text: str) -> None:
        """Note something about a place, which is called as in errors."""
        if len(self.lines) < _MOST:
            place = where.removeprefix(self.root).lstrip("/:") or "file"
            self.lines.append(f"{place}: {text}")
        elif len(self.lines) == _MOST:
            self.lines.append("there is more of this kind")

    def unused(
        self, where: str, present: Iterable[str], known: Collection[str], what: str = "member"
    ) -> None:
        """Note the members that are not used."""
        names = [ascii(name)[1:-1] for name in present if name not in known]
        if names:
            shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
            self.add(where, f"{what}{'s' * (len(names) > 1)} not used: {shown}")
