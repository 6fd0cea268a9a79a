"""Compile a network for a target with its rule violations, core map and Lava processes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from sdt_lava.backends.lava.presence import require_lava
from sdt_lava.compiler.choose import Choice
from sdt_lava.compiler.columns import AND
from sdt_lava.compiler.compile import CompiledNetwork, compile_graph
from sdt_lava.compiler.cost import ASSUMED_RATE, Rates
from sdt_lava.compiler.target import Target
from sdt_lava.hardware.targets import load_target
from sdt_lava.ir import Graph
from sdt_lava.support.once import cached_property

if TYPE_CHECKING:
    from sdt_lava.backends.lava.processes.blocks import SpikingNetwork
    from sdt_lava.hardware.core_map import CoreMap
    from sdt_lava.hardware.rules import Violation


@dataclass(frozen=True, eq=False)
class Deployment(CompiledNetwork):
    """A compiled network with its target's rule violations and core map."""

    @cached_property
    def violations(self) -> tuple[Violation, ...]:
        """Violations of design rules, errors first; see :mod:`sdt_lava.hardware.rules`."""
        from sdt_lava.hardware.rules import check_rules

        return check_rules(self)

    @cached_property
    def core_map(self) -> CoreMap:
        """Map of the network to cores and chips of the target, computed on first use.

        Raises
        ------
        CompileError
            If the target has no cores, or a single neuron does not fit on one.
        """
        from sdt_lava.hardware.core_map import map_cores

        return map_cores(self)

    def build(self) -> SpikingNetwork:
        """Build the Lava process of the whole network.

        Returns
        -------
        SpikingNetwork
            Hierarchical process with port ``inp`` for flat frames and ``out_port(name)`` for each
            observed population. The process is not started.

        Raises
        ------
        LavaUnavailableError
            If Lava is not installed.
        """
        require_lava("a network of Lava processes")
        from sdt_lava.backends.lava.build import build_network

        return build_network(self)


def compile_network(
    net: Graph,
    target: str | Path | Target = "lava-cpu",
    *,
    board: str | None = None,
    convolutions: str | None = None,
    timesteps: int | None = None,
    reset: bool = True,
    shortcut: Choice | None = None,
    sdsa: Choice = AND,
    rates: Rates = ASSUMED_RATE,
) -> Deployment:
    """Compile an integer graph to Lava's standard processes.

    Parameters
    ----------
    net : Graph
        Integer graph.
    target : {'lava-cpu', 'loihi2', 'loihi1'}, path or Target
        Target that will run the network. A path refers to a target's description, ``*.toml``.
    board : str, optional
        Board of the target; by default the target's default board.
    convolutions : {'auto', 'sparse', 'conv'}, optional
        Unroll convolutions to sparse connections if they are small, always, or only if a delay
        requires it. By default 'auto' for a simulator and 'conv' for hardware, where convolutions
        share the memory of their weights. On a simulator, a convolution whose sums may exceed 24
        bits is never unrolled, because a matrix would hold them in 32 bits.
    timesteps : int, optional
        Steps per sample, for event data whose number differs from the graph's.
    reset : bool
        Whether every sample starts from rest. Otherwise, samples form one continuous stream, and
        neurons are reset only once, when its first step reaches them.
    shortcut : {'relay', 'unrolled', 'auto'} or mapping of str to str, optional
        Lowering of membrane shortcuts: to relays that forward residual streams as graded spikes, to
        synapses from every producer to every later reader, or to the cheaper of both. One lowering
        applies to all residual streams; a mapping applies to individual ones, and the others become
        relays. By default 'relay', or 'unrolled' for a target without relays.
    sdsa : {'and', 'column-gate', 'columnless', 'single-gate', 'auto'} or mapping of str to str
        Lowering of SDSA columns (:mod:`sdt_lava.compiler.passes.lower_columns`), for all of them or
        for individual ones; the others get 'and'.
    rates : float or mapping of str to float
        Events per neuron and step, for all LIFs or by name, from which 'auto' estimates the work.

    Returns
    -------
    Deployment
        Compiled graph and schedule, with the target's rule violations and core map.

    Raises
    ------
    CompileError
        If a part of the network cannot be lowered.
    TargetError
        If the target or board does not exist.
    """
    compiled = compile_graph(
        net,
        target if isinstance(target, Target) else load_target(target),
        board=board,
        convolutions=convolutions,
        timesteps=timesteps,
        reset=reset,
        shortcut=shortcut,
        sdsa=sdsa,
        rates=rates,
    )
    return Deployment(**{field.name: getattr(compiled, field.name) for field in fields(compiled)})
