"""Run inputs on back ends for integer graphs on this computer."""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sdt_lava.backends.backend import Backend
from sdt_lava.backends.integer_run import IntegerRun, total_output
from sdt_lava.backends.options import RunOptions
from sdt_lava.backends.ranges import check_in_engine
from sdt_lava.backends.result import Result
from sdt_lava.datasets.objects import as_input
from sdt_lava.ir import Graph
from sdt_lava.ir.encoding import enter, warn_of_steps
from sdt_lava.ir.numerics import IntArray

if TYPE_CHECKING:
    from sdt_lava.backends.deployment import Deployment


class IntegerBackend(Backend):
    """Base class of back ends that run integer graphs or their compiled networks."""

    def simulate(self, net: Graph, x: Any, options: RunOptions) -> Result:
        """Run a network on an input; see :class:`~sdt_lava.backends.backend.Backend`."""
        started = time.perf_counter()
        x = as_input(x)
        # The sums of messages do not depend on the number of steps, so networks of them get no
        # warning.
        if options.reset and not net.message_names:
            warn_of_steps(x, net.input_shape, net.timesteps)
        run = None if self.compiles(options) else self.run_as_given(net, x, options)
        if run is None:
            net, frames = enter(net, x)
            options = self._compiled(net, frames, options)
            run = replace(self.run(net, frames, options), entered=frames)
        result = Result(
            backend=self.name,
            logits=total_output(net, run.readout),
            spikes=run.spikes,
            messages=run.messages,
            seconds=time.perf_counter() - started,
            net=net,
            entered=run.entered,
            reset=options.reset,
            compiled=options.compiled,
            execution=run.execution,
            counted=run.counted,
            traits=self.traits,
        )
        return result.with_membranes()

    def compiles(self, options: RunOptions) -> bool:
        """Return whether the compiled network runs instead of the integer graph."""
        return self.traits.is_pipelined or options.chooses_lowering

    def run_as_given(self, net: Graph, x: Any, options: RunOptions) -> IntegerRun | None:
        """Run a network on an input before it is encoded; return None if unsupported."""
        return None

    @abstractmethod
    def run(self, net: Graph, frames: IntArray, options: RunOptions) -> IntegerRun:
        """Run a network on encoded frames.

        Parameters
        ----------
        net : Graph
            Integer graph.
        frames : ndarray of int
            Input of the network, ``(T, B, *shape)``.
        options : RunOptions
            Options, with the compiled network if it runs. In that case, the ranges of registers
            have already been checked.
        """

    def compile(self, net: Graph, frames: IntArray, options: RunOptions) -> Deployment:
        """Compile a network for Lava's simulator as requested by the options."""
        from sdt_lava.backends.deployment import compile_network

        return compile_network(
            net,
            convolutions=self.convolutions(options),
            timesteps=frames.shape[0],
            reset=options.reset,
            shortcut="relay" if options.shortcut is None else options.shortcut,
            sdsa="and" if options.sdsa is None else options.sdsa,
        )

    def convolutions(self, options: RunOptions) -> str:
        """Return which convolutions to unroll, as for :func:`sdt_lava.compile`."""
        return "auto"

    def check_registers(self, net: Graph, frames: IntArray, options: RunOptions) -> None:
        """Check that every value of the original network fits its register.

        Compiled networks have different nodes, and Lava wraps silently.
        """
        check_in_engine(net, frames, options)

    def _compiled(self, net: Graph, frames: IntArray, options: RunOptions) -> RunOptions:
        """Return the options with the compiled network, if it runs."""
        from sdt_lava.ir.proof import is_proved

        if not self.compiles(options):
            return options
        options = replace(options, compiled=self.compile(net, frames, options))
        steps, samples = frames.shape[:2]
        if options.strict and not is_proved(net, steps if options.reset else steps * samples):
            self.check_registers(net, frames, options)
        return options
