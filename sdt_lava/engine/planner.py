"""Plan runs: compile each kind of run once, and use torch only if that is faster."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from sdt_lava.engine.options import EngineOptions
from sdt_lava.engine.plan.plan import Plan
from sdt_lava.engine.trials import DENSE, SUMS, passes
from sdt_lava.errors import ResourceError
from sdt_lava.ir import Graph
from sdt_lava.ir.numerics import IntArray
from sdt_lava.support.allocation import current_guard, guarding
from sdt_lava.support.torch_use import TorchNeeded, torch_is_loaded

logger = logging.getLogger(__name__)

# From this many multiplications of one layer, torch's dense operators may save more than the two
# seconds of importing torch; see docs/performance.md.
_WORTH_TORCH = 200_000_000_000


class _Request(NamedTuple):
    """Purpose of a plan, regardless of its kernels."""

    keep: frozenset[str]
    steps: int
    tracked: bool
    counted: Mapping[str, IntArray]


class Planner:
    """Plans of one graph, which are cached in it.

    Parameters
    ----------
    graph : Graph
        Integer graph.
    options : EngineOptions
        Options with kernels and memory.
    """

    def __init__(self, graph: Graph, options: EngineOptions) -> None:
        self.graph, self.options = graph, options

    def plan(
        self,
        keep: Iterable[str],
        steps: int,
        samples: int,
        *,
        tracked: bool,
        counted: Mapping[str, IntArray],
    ) -> Plan:
        """Return a plan for runs of at least the given number of steps.

        Parameters
        ----------
        keep : iterable of str
            Nodes whose output is needed.
        steps, samples : int
            Numbers of steps and samples of the input.
        tracked, counted
            As for :class:`~sdt_lava.engine.plan.compile.Compiler`.
        """
        request = _Request(frozenset(keep), steps, tracked, counted)
        with guarding(self.options.guard):
            if not torch_is_loaded():
                try:
                    return self._without_torch(request, samples)
                except TorchNeeded as reason:
                    logger.info("torch is imported: %s", reason)
            return self._exact(request, with_torch=True)

    def horizon(self, steps: int) -> int:
        """Return the number of steps for which to prove ranges, out of few distinct numbers."""
        timesteps = self.graph.timesteps
        return (
            timesteps
            if steps <= timesteps
            else timesteps << (-(-steps // timesteps) - 1).bit_length()
        )

    def _without_torch(self, request: _Request, samples: int) -> Plan:
        """Return a plan without torch; raise TorchNeeded if torch is needed or faster."""
        plan = self._exact(request, with_torch=False)
        work = plan.largest_work * request.steps * (samples + plan.samples_done)
        if work >= _WORTH_TORCH:
            raise TorchNeeded(f"{work:.2g} multiplications in one layer")
        return plan

    def _exact(self, request: _Request, *, with_torch: bool) -> Plan:
        """Return a plan whose kernels are exact on this machine.

        Raises
        ------
        ResourceError
            If operators of torch are needed but the code around them is not exact.
        """
        refused: frozenset[str] = frozenset()
        while True:
            plan = self._compiled(request, with_torch, refused)
            inexact = {name for name in plan.kernel_names & set(SUMS) if not passes(name)}
            if not inexact:
                break
            refused |= inexact
        if not plan.kernel_names <= {*SUMS} and not passes(DENSE):
            found = "wrong results on this processor"
            raise ResourceError("kernels", found, "exact ones", "use EngineOptions('interpreter')")
        return plan

    def _compiled(self, request: _Request, with_torch: bool, refused: frozenset[str]) -> Plan:
        keep, steps, tracked, counted = request
        kernels, room = self.options.kernels, self._table_room()
        proved_for, guard = self.horizon(steps), current_guard()
        counted_key = tuple(
            (name, fans.shape, fans.tobytes()) for name, fans in sorted(counted.items())
        )
        options_key = tracked, kernels, proved_for, guard, room, with_torch, refused
        key = ("engine plan", keep, counted_key, *options_key)
        if key not in self.graph.derived:
            graph = self.graph
            if proved_for > graph.timesteps:
                graph = replace(graph, timesteps=proved_for)
            new_plan = Plan(
                graph, keep, counted=counted, tracked=tracked,
                kernels=kernels, table_bytes=room, with_torch=with_torch, refused=refused,
            )  # fmt: skip
            _tell(new_plan)
            self.graph.derived[key] = new_plan
        plan: Plan = self.graph.derived[key]
        return plan

    def _table_room(self) -> int:
        """Return the memory limit of kernel tables: half of the memory, as a power of two."""
        half = self.options.memory // 2
        return 1 << (half.bit_length() - 1) if half else 0


def _tell(plan: Plan) -> None:
    """Log the kernels of a plan."""
    if not logger.isEnabledFor(logging.INFO):
        return
    counts = Counter(f"{op.kind} {op.describe()}".strip() for op in plan.operations)
    described = ", ".join(f"{number} x {kernel}" for kernel, number in counts.items())
    logger.info("kernels %s torch: %s", "with" if plan.with_torch else "without", described)
