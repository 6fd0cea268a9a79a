"""Typed errors: each one says where, what was found, what is allowed and what to do."""

from __future__ import annotations

from typing import Any

from sdt_lava.support.text import printable


class SdtLavaError(Exception):
    """Base of every error that sdt-lava raises on purpose.

    Parameters
    ----------
    where : str
        The file, tensor, node or argument that is wrong.
    found : str
        What was found there.
    allowed : str, optional
        What would have been accepted.
    remedy : str, optional
        What the user can do about it.
    """

    exit_code = 2
    # Whether commands print it in one line, rather than a line for each part.
    is_one_sentence = False

    def __init__(self, where: str, found: str, allowed: str = "", remedy: str = "") -> None:
        self.where = where
        self.found = found
        self.allowed = allowed
        self.remedy = remedy
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        parts = [f"{self.where}: {self.found}"]
        if self.allowed:
            parts.append(f"allowed: {self.allowed}")
        if self.remedy:
            parts.append(f"remedy: {self.remedy}")
        return printable("; ".join(parts))

    def __reduce__(self) -> tuple[type, tuple[str, str, str, str]]:
        """Survive pickling, so that an error can cross a process boundary."""
        return type(self), (self.where, self.found, self.allowed, self.remedy)


class ConfigError(SdtLavaError):
    """A model configuration that is missing, incomplete or contradictory."""


class CheckpointError(SdtLavaError):
    """A checkpoint that cannot be read safely or does not fit its configuration."""


class GraphError(SdtLavaError):
    """A graph that breaks a legality rule."""


class QuantizationError(SdtLavaError):
    """Weights, biases or thresholds that do not fit the integer ranges."""


class NetworkFileError(SdtLavaError):
    """An HDF5 network file that is damaged, unsupported or hostile."""


class NirError(SdtLavaError):
    """A network that NIR cannot hold, or a NIR graph or file that cannot become a network."""


class DataError(SdtLavaError):
    """Input data of the wrong kind, shape or range."""


class CompileError(SdtLavaError):
    """A network that cannot be mapped onto the target."""


class TargetError(SdtLavaError):
    """A target that does not exist, or whose description is not valid."""


class EnergyModelError(SdtLavaError):
    """An energy model that does not exist, or whose table is not valid."""


class RuntimeModelError(SdtLavaError):
    """A runtime model that is not valid, or a run that it cannot bound."""


class HardwareUnavailableError(SdtLavaError):
    """Hardware, or the software that drives it, that is not there: told in one sentence."""

    exit_code = 3
    is_one_sentence = True


class LavaUnavailableError(SdtLavaError):
    """Lava, which is optional, was asked for and is not installed: told in one sentence."""

    exit_code = 3
    is_one_sentence = True


class ResourceError(SdtLavaError):
    """Memory, disk space, files or processes that the machine does not have, or does not grant."""

    exit_code = 1


class NumericOverflowError(SdtLavaError):
    """An integer sum that left the hardware's range during a strict simulation."""


class LavaRuntimeError(SdtLavaError):
    """A Lava process that raised, died or did not answer in time.

    Parameters
    ----------
    where, found, allowed, remedy : str
        As in `SdtLavaError`.
    process : str, optional
        Name of the Lava Process that failed; empty when none can be blamed.
    traceback_text : str, optional
        The traceback inside that process; empty when there is none, as after a kill.
    """

    exit_code = 1

    def __init__(
        self,
        where: str,
        found: str,
        allowed: str = "",
        remedy: str = "",
        *,
        process: str = "",
        traceback_text: str = "",
    ) -> None:
        super().__init__(where, found, allowed, remedy)
        self.process = process
        self.traceback_text = traceback_text

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the process and its traceback, too, when the error is pickled."""
        state = {"process": self.process, "traceback_text": self.traceback_text}
        return (*super().__reduce__(), state)


class LavaTimeoutError(LavaRuntimeError):
    """A Lava network that did not answer in time."""
