"""The report on importing weights that the library has not written."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sdt_lava.support.text import listed


@dataclass(frozen=True)
class ImportReport:
    """The report on importing an official checkpoint.

    Parameters
    ----------
    path : str
        Path of the file.
    weights : str
        The imported set of weights: 'state_dict', 'state_dict_ema' or another entry, or 'file' if
        the file is just a state dict.
    unused : tuple of str
        Tensors that the network contains but never uses, including counters of profilers.
    prefixed : int
        Number of names from which a prefix such as ``module.`` of distributed training was removed.
    configuration : str
        Source of the configuration.
    notes : tuple of str
        Notes on values that were changed in the configuration or that it overrides, on the origin
        of the input levels, and on other weights in the file.
    prefixes : tuple of str
        The removed prefixes.
    assumes_levels : bool
        Whether nothing was known about the input, so that its integer levels are assumed.
    """

    path: str
    weights: str
    unused: tuple[str, ...]
    prefixed: int
    configuration: str
    notes: tuple[str, ...]
    prefixes: tuple[str, ...] = ()
    assumes_levels: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, for JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the report as sentences."""
        lines = [f"imported {self.weights} of {self.path}"]
        lines += [f"configuration from {self.configuration}", *self.notes]
        if self.prefixed:
            prefixes = ", ".join(map(repr, self.prefixes))
            lines.append(f"removed the prefix {prefixes} of {self.prefixed} names")
        if self.unused:
            lines.append(f"left out, as the network does not use them: {listed(self.unused)}")
        return lines
