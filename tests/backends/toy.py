"""A back end outside the library: all that one has to bring."""

from __future__ import annotations

from sdt_lava.backends.integer_backend import IntegerBackend
from sdt_lava.backends.integer_run import IntegerRun, unpacked, what_runs
from sdt_lava.backends.options import RunOptions
from sdt_lava.ir import Graph
from sdt_lava.ir.numerics import IntArray
from sdt_lava.ir.reference import run_reference


class ToyBackend(IntegerBackend):
    """Runs graphs in the reference, and takes an option of the engine."""

    name = "toy"
    options = frozenset({"threads"})

    def run(self, net: Graph, frames: IntArray, options: RunOptions) -> IntegerRun:
        """Run a network."""
        graph, wanted = what_runs(net, options)
        values = run_reference(graph, frames)
        return unpacked(net, {name: values[name] for name in wanted}, options)
