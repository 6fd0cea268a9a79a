"""What a user compiles: a network, its target's verdict, its cores and its Lava processes."""

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
    """A compiled network, and what its target makes of it."""

    @cached_property
    def violations(self) -> tuple[Violation, ...]:
        """What the target does not allow, errors first: see :mod:`sdt_lava.hardware.rules`."""
        from sdt_lava.hardware.rules import check_rules

        return check_rules(self)

    @cached_property
    def core_map(self) -> CoreMap:
        """Cores and chips of the target that it takes, mapped at first use.

        Raises
        ------
        CompileError
            If the target has no cores, or a neuron needs more than one.
        """
        from sdt_lava.hardware.core_map import map_cores

        return map_cores(self)

    def build(self) -> SpikingNetwork:
        """Make the Lava process of the whole network.

        Returns
        -------
        SpikingNetwork
            Hierarchical process: port ``inp`` for flat frames, ``out_port(name)`` for each
            observed population. It starts nothing.

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
    """Map an integer graph onto Lava's standard processes.

    Parameters
    ----------
    net : Graph
        Integer graph.
    target : {'lava-cpu', 'loihi2', 'loihi1'}, path or Target
        Where it will run; a path is that of a target's description, ``*.toml``.
    board : str, optional
        Board of the target; its default board if none is named.
    convolutions : {'auto', 'sparse', 'conv'}, optional
        Unroll convolutions into sparse connections where they are small, always, or only where
        a delay demands it. By default 'auto' for a simulator and 'conv' for hardware, where
        convolutions share the memory of their weights. On a simulator, one whose sums may leave
        24 bits always stays one: a matrix would hold them in 32.
    timesteps : int, optional
        Steps of a sample, for event data that differs from the graph's.
    reset : bool
        Start every sample from rest. Otherwise samples are one continuous stream: neurons are
        reset once, when its first step reaches them.
    shortcut : {'relay', 'unrolled', 'auto'} or mapping of str to str, optional
        How membrane shortcuts are carried out: by relays that send residual streams on as graded
        spikes, by synapses from every producer to every later reader, or the cheaper of both; one
        way for all residual streams, or a way for each of some, the others by relays. By default
        'relay', or 'unrolled' for a target without relays.
    sdsa : {'and', 'column-gate', 'columnless', 'single-gate', 'auto'} or mapping of str to str
        How the columns of SDSA are carried out (:mod:`sdt_lava.compiler.passes.lower_columns`),
        for all of them or for each of some, the others by 'and'.
    rates : float or mapping of str to float
        Events per neuron and step, of all LIFs or by name, from which 'auto' estimates the work.

    Returns
    -------
    Deployment
        Compiled graph and schedule, and what the target makes of them.

    Raises
    ------
    CompileError
        If the network has a part that cannot be lowered.
    TargetError
        If there is no such target or board.
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
