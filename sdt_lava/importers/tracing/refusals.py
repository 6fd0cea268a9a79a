"""Define the exception for operations without a counterpart; the tracer adds the location."""

from __future__ import annotations


class NoMeaning(Exception):
    """Operation, or call of it, that no node of the graph can represent.

    Parameters
    ----------
    found : str
        The operation.
    allowed : str, optional
        Supported alternative.
    remedy : str, optional
        Advice to the user.
    """

    def __init__(self, found: str, allowed: str = "", remedy: str = "") -> None:
        super().__init__(found)
        self.found, self.allowed, self.remedy = found, allowed, remedy
