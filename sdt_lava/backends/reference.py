"""Run integer graphs on back end 'reference', the NumPy definition for all others."""

from __future__ import annotations

from sdt_lava.backends.integer_backend import IntegerBackend
from sdt_lava.backends.integer_run import IntegerRun, in_batches, unpacked, what_runs
from sdt_lava.backends.options import RunOptions
from sdt_lava.ir import Graph
from sdt_lava.ir.numerics import IntArray, NeuronStates


class ReferenceBackend(IntegerBackend):
    """Back end that runs graphs with :mod:`sdt_lava.ir.reference`."""

    name = "reference"

    def run(self, net: Graph, frames: IntArray, options: RunOptions) -> IntegerRun:
        """Run a network on encoded frames."""
        from sdt_lava.ir.reference import run_reference

        graph, names = what_runs(net, options)
        # The values of a compiled network have already been checked.
        strict = options.strict and options.compiled is None

        def run(part: IntArray, states: NeuronStates | None = None) -> dict[str, IntArray]:
            values = run_reference(graph, part, strict=strict, states=states)
            return {name: values[name] for name in names}

        return unpacked(net, in_batches(graph, frames, run, options), options)
