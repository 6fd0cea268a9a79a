"""Typed errors: each states where it occurred, what was found, what is allowed and the remedy."""

from __future__ import annotations

from typing import Any

from sdt_lava.support.text import printable


class SdtLavaError(Exception):
    """Base class of all errors that sdt-lava raises deliberately.

    Parameters
    ----------
    where : str
        The file, tensor, node or argument that is wrong.
    found : str
        What was found there.
    allowed : str, optional
        What is accepted instead.
    remedy : str, optional
        How the user can fix the problem.
    """

    exit_code = 2
    # Whether commands print the error on one line rather than one line for each part.
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
        """Support pickling, so that the error can cross a process boundary."""
        return type(self), (self.where, self.found, self.allowed, self.remedy)


class ConfigError(SdtLavaError):
    """A model configuration that is missing, incomplete or contradictory."""


class CheckpointError(SdtLavaError):
    """A checkpoint that cannot be read safely or does not fit its configuration."""


class GraphError(SdtLavaError):
    """A graph that violates a legality rule."""


class KindError(GraphError):
    """A kind of node that does not say what it is asked for."""


class QuantizationError(SdtLavaError):
    """Weights, biases or thresholds that do not fit the integer ranges."""


class NetworkFileError(SdtLavaError):
    """An HDF5 network file that is damaged, unsupported or malicious."""


class NirError(SdtLavaError):
    """A network that NIR cannot represent, or a NIR graph or file that cannot be converted."""


class TraceError(SdtLavaError):
    """A torch module that computes something a graph cannot express."""


class DataError(SdtLavaError):
    """Input data of the wrong kind, shape or range."""


class CompileError(SdtLavaError):
    """A network that cannot be mapped onto the target."""


class TargetError(SdtLavaError):
    """A target that does not exist, or has an invalid description."""


class EnergyModelError(SdtLavaError):
    """An energy model that does not exist, or has an invalid table."""


class RuntimeModelError(SdtLavaError):
    """An invalid runtime model, or a run that it cannot bound."""


class HardwareUnavailableError(SdtLavaError):
    """Hardware, or its driver software, that is unavailable; reported in one sentence."""

    exit_code = 3
    is_one_sentence = True


class LavaUnavailableError(SdtLavaError):
    """Lava, an optional package, was requested but is not installed; reported in one sentence."""

    exit_code = 3
    is_one_sentence = True


class ResourceError(SdtLavaError):
    """Memory, disk space, files or processes that the machine lacks or refuses to provide."""

    exit_code = 1


class NumericOverflowError(SdtLavaError):
    """An integer sum that exceeded the hardware's range during a strict simulation."""


class LavaRuntimeError(SdtLavaError):
    """A Lava process that raised, died or did not answer in time.

    Parameters
    ----------
    where, found, allowed, remedy : str
        As in `SdtLavaError`.
    process : str, optional
        Name of the Lava Process that failed; empty if it is unknown.
    traceback_text : str, optional
        The traceback inside that process; empty if there is none, as after a kill.
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
        """Include the process and its traceback when the error is pickled."""
        state = {"process": self.process, "traceback_text": self.traceback_text}
        return (*super().__reduce__(), state)


class LavaTimeoutError(LavaRuntimeError):
    """A Lava network that did not answer in time."""
