"""Run compiled networks on back ends 'lava' and 'lava-inprocess', Lava's CPU simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from sdt_lava.backends.integer_backend import IntegerBackend
from sdt_lava.backends.integer_run import IntegerRun, unpacked
from sdt_lava.backends.lava.presence import require_lava
from sdt_lava.backends.options import RunOptions
from sdt_lava.backends.traits import Traits
from sdt_lava.ir import Graph
from sdt_lava.ir.numerics import IntArray

if TYPE_CHECKING:
    from sdt_lava.backends.board import HardwareOptions


class LavaBackend(IntegerBackend):
    """Back end that runs an operating system process for each Lava Process.

    All other back ends are checked against this one. It therefore uses only Lava's own code, unless
    the options select other ProcessModels.
    """

    name = "lava"
    traits = Traits(is_pipelined=True)
    options = frozenset({"models"})
    executor: ClassVar[str] = "processes"
    default_models: ClassVar[str] = "lava"

    def require(self, hardware: HardwareOptions | None = None) -> None:
        """Check that Lava is installed.

        Raises
        ------
        LavaUnavailableError
            If Lava is not installed.
        """
        require_lava(f"back end {self.name!r}")

    def convolutions(self, options: RunOptions) -> str:
        """Return which convolutions to unroll.

        Lava's model of a convolution is slower than that of a matrix; ours is faster.
        """
        return "auto" if self._models(options) == "lava" else "conv"

    def run(self, net: Graph, frames: IntArray, options: RunOptions) -> IntegerRun:
        """Run the compiled network on encoded frames."""
        from sdt_lava.backends.lava.run import run_lava

        assert options.compiled is not None
        outputs, execution = run_lava(
            options.compiled,
            frames,
            models=self._models(options),
            executor=self.executor,
            timeout=options.timeout,
            on_progress=options.on_progress,
        )
        return unpacked(net, outputs, options, execution)

    def _models(self, options: RunOptions) -> str:
        return options.models or self.default_models


class LavaInProcessBackend(LavaBackend):
    """Back end that runs all Lava Processes in this process, without synchronization."""

    name = "lava-inprocess"
    executor = "in-process"
    default_models = "accelerated"
