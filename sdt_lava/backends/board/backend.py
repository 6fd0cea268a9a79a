"""Run compiled networks on back end 'loihi2'."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from sdt_lava.backends.backend import Backend
from sdt_lava.backends.host import network_outputs, with_readout
from sdt_lava.backends.integer_run import total_output
from sdt_lava.backends.options import RunOptions
from sdt_lava.backends.ranges import engine_extremes
from sdt_lava.backends.result import Result
from sdt_lava.backends.traits import Traits
from sdt_lava.datasets.objects import as_input
from sdt_lava.ir import Graph
from sdt_lava.ir.encoding import enter

if TYPE_CHECKING:
    from sdt_lava.backends.board.options import HardwareOptions


class BoardBackend(Backend):
    """Back end that runs networks on a board.

    The engine runs the same input first. It detects sums that would overflow, and the measured
    ranges are evidence for design rules that the weights alone do not prove.
    """

    name = "loihi2"
    needs_hardware = True
    options = frozenset({"hardware"})
    traits = Traits(is_pipelined=True)

    def require(self, hardware: HardwareOptions | None = None) -> None:
        """Check that the software for running networks on the target is installed.

        Raises
        ------
        HardwareUnavailableError
            If Intel's extension is not installed.
        """
        from sdt_lava.backends.board.run import require_hardware

        require_hardware(_chosen(hardware).target)

    def simulate(self, net: Graph, x: Any, options: RunOptions) -> Result:
        """Run a network on an input; see :class:`~sdt_lava.backends.backend.Backend`.

        Raises
        ------
        HardwareUnavailableError
            If no board can be reached.
        CompileError
            If the network violates a design rule.
        """
        from sdt_lava.backends.board.run import compile_for_run, run_on_board

        hardware = _chosen(options.hardware)
        started = time.perf_counter()
        net, frames = enter(net, as_input(x))
        compiled = compile_for_run(
            net,
            frames,
            hardware,
            options.reset,
            engine_extremes(net, frames, options),
            options.shortcut,
            options.sdsa,
        )
        run = run_on_board(compiled, frames, hardware, options.timeout)
        complete = network_outputs if hardware.record == "all" else with_readout
        outputs = complete(compiled, run.outputs)
        result = Result(
            backend=self.name,
            logits=total_output(net, outputs[net.output_name]),
            spikes={
                name: outputs[name].astype(np.uint8, copy=False)
                for name in net.lif_names
                if name in outputs
            },
            messages={
                name: outputs[name].astype(np.int32, copy=False)
                for name in net.message_names
                if name in outputs
            },
            seconds=time.perf_counter() - started,
            net=net,
            entered=frames,
            reset=options.reset,
            compiled=compiled,
            measured=run.measured,
            traits=self.traits,
        )
        return result.with_membranes()


def _chosen(hardware: HardwareOptions | None) -> HardwareOptions:
    from sdt_lava.backends.board.options import HardwareOptions

    return hardware or HardwareOptions()
