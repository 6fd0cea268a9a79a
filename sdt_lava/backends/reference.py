"""Back end 'reference': one readable page of NumPy, the definition of all the others."""

from __future__ import annotations

from sdt_lava.backends.integer_backend import IntegerBackend
from sdt_lava.backends.integer_run import IntegerRun, in_batches, unpacked, what_runs
from sdt_lava.backends.options import RunOptions
from sdt_lava.ir import Graph
from sdt_lava.ir.numerics import IntArray, NeuronStates


class ReferenceBackend(IntegerBackend):
    """Runs graphs in :mod:`sdt_lava.ir.reference`."""

    name = "reference"

    def run(self, net: Graph, frames: IntArray, options: RunOptions) -> IntegerRun:
        """Run a network."""
        from sdt_lava.ir.reference import run_reference

        graph, wanted = what_runs(net, options)
        # The values of a compiled network have been checked.
        strict = options.strict and options.compiled is None

        def run(part: IntArray, states: NeuronStates | None = None) -> dict[str, IntArray]:
            values = run_reference(graph, part, strict=strict, states=states)
            return {name: values[name] for name in wanted}

        return unpacked(net, in_batches(graph, frames, run, options), options)
