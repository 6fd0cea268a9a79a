"""What a handler raises where the graph has no counterpart; the tracer adds where it was."""

from __future__ import annotations


class NoMeaning(Exception):
    """An operation, as it was called, that no node of the graph stands for.

    Parameters
    ----------
    found : str
        What was done.
    allowed : str, optional
        What would have been understood.
    remedy : str, optional
        What can be done about it.
    """

    def __init__(self, found: str, allowed: str = "", remedy: str = "") -> None:
        super().__init__(found)
        self.found, self.allowed, self.remedy = found, allowed, remedy
