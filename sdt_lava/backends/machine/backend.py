"""Run compiled networks on back end 'machine', by machine steps and without Lava."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdt_lava.backends.integer_backend import IntegerBackend
from sdt_lava.backends.integer_run import IntegerRun, tell, unpacked
from sdt_lava.backends.options import RunOptions
from sdt_lava.backends.ranges import check_in_reference
from sdt_lava.backends.traits import Traits
from sdt_lava.ir import Graph
from sdt_lava.ir.numerics import IntArray

if TYPE_CHECKING:
    from sdt_lava.backends.deployment import Deployment


class MachineBackend(IntegerBackend):
    """Back end that runs compiled networks in NumPy as Lava does."""

    name = "machine"
    options = frozenset({"hardware"})
    traits = Traits(is_pipelined=True, is_plain=True)

    def compile(self, net: Graph, frames: IntArray, options: RunOptions) -> Deployment:
        """Compile a network for the target of the options, or for Lava's simulator."""
        if options.hardware is None:
            return super().compile(net, frames, options)
        from sdt_lava.backends.board.compiling import compile_for

        return compile_for(
            net,
            options.hardware,
            frames.shape[0],
            options.reset,
            options.shortcut,
            options.sdsa,
        )

    def check_registers(self, net: Graph, frames: IntArray, options: RunOptions) -> None:
        """Check that every value fits its register, without torch."""
        check_in_reference(net, frames, options)

    def run(self, net: Graph, frames: IntArray, options: RunOptions) -> IntegerRun:
        """Run the compiled network on encoded frames."""
        from sdt_lava.backends.machine.run import run_machine, suitable_lanes

        compiled, samples = options.compiled, frames.shape[1]
        assert compiled is not None
        lanes = 1  # A stream is always one sequence.
        if options.reset:
            lanes = options.batch_size or suitable_lanes(compiled.graph, samples)
        run = run_machine(
            compiled,
            frames,
            names=compiled.observed,
            lanes=lanes,
            on_progress=lambda done: tell(options, done, frames),
        )
        return unpacked(net, run.outputs, options)
