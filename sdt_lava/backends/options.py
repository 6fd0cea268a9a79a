"""Define the options of a simulation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdt_lava.engine.options import EngineOptions, parse_memory

if TYPE_CHECKING:
    from sdt_lava.backends.board import HardwareOptions
    from sdt_lava.backends.deployment import Deployment
    from sdt_lava.compiler.choose import Choice

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class RunOptions:
    """Options of :func:`~sdt_lava.backends.run.simulate`, with the compiled network if any.

    Without a compiled network, the integer graph itself runs.
    """

    strict: bool = True
    batch_size: int | None = None
    timeout: float | None = None
    on_progress: Progress | None = None
    reset: bool = True
    models: str | None = None
    shortcut: Choice | None = None
    sdsa: Choice | None = None
    hardware: HardwareOptions | None = None
    memory: int | str | None = None
    threads: int | None = None
    device: str | None = None
    count: bool = False
    compiled: Deployment | None = None

    @property
    def chooses_lowering(self) -> bool:
        """Whether the options request a lowering, and thereby a compiled network."""
        return self.shortcut is not None or self.sdsa is not None

    @property
    def engine(self) -> EngineOptions:
        """Options of the engine.

        Raises
        ------
        ConfigError
            If the value of an option is not allowed.
        """
        memory = None if self.memory is None else parse_memory(self.memory)
        values = {"memory": memory, "threads": self.threads, "device": self.device}
        arguments = {name: value for name, value in values.items() if value is not None}
        return EngineOptions(batch_size=self.batch_size, **arguments)  # type: ignore[arg-type]
