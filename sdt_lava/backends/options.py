"""The options of a simulation."""

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
    """Options of :func:`~sdt_lava.backends.run.simulate`, and the compiled network.

    Without a compiled network the integer graph itself runs.
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
        """Whether a compiled network is asked for by the way it is lowered."""
        return self.shortcut is not None or self.sdsa is not None

    @property
    def engine(self) -> EngineOptions:
        """How the engine runs.

        Raises
        ------
        ConfigError
            If a value is not allowed.
        """
        memory = None if self.memory is None else parse_memory(self.memory)
        given = {"memory": memory, "threads": self.threads, "device": self.device}
        chosen = {name: value for name, value in given.items() if value is not None}
        return EngineOptions(batch_size=self.batch_size, **chosen)  # type: ignore[arg-type]
