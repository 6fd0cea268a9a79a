"""Check NIR graphs for thresholds that no input reaches, often due to a wrong unit of time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import nir
import numpy as np

from sdt_lava.errors import NirError, SdtLavaError
from sdt_lava.importers.nir.float_graph import FloatMaker
from sdt_lava.ir import Graph, Input
from sdt_lava.quantize.reachable import Reach, reaches

# Common time steps [s]; 1 for programs whose unit of time is the step.
_USUAL_DT = (1e-3, 1e-2, 0.1, 1.0, 1e-5, 1e-6)
_MOST_DOUBLINGS = 6
# Typical time constant in steps, for choosing among the time steps above.
_USUAL_STEPS = 10.0
_TIME_CONSTANTS = ("tau", "tau_mem", "tau_syn")


def check_reachable(source: nir.NIRGraph, graph: Graph, maker: FloatMaker) -> None:
    """Check that some input makes each population with positive drive fire.

    Parameters
    ----------
    source : nir.NIRGraph
        The NIR graph.
    graph : Graph
        The float graph made from it.
    maker : FloatMaker
        The maker of the float graph, with its time step.

    Raises
    ------
    NirError
        If no input reaches a threshold in T steps; the suggested remedy has been tried.
    """
    for name, reach in _reaches(graph).items():
        if not reach.fires and reach.drive > 0 and name in maker.structure.nodes:
            raise _unreachable(source, graph, maker, name, reach)


def _reaches(graph: Graph) -> dict[str, Reach]:
    # Weights of a NIR graph apply to the integers that the input sends.
    nodes = (replace(node, scale=1.0) if isinstance(node, Input) else node for node in graph)
    return reaches(graph.rebuild(nodes))


def _unreachable(
    source: nir.NIRGraph, graph: Graph, maker: FloatMaker, name: str, reach: Reach
) -> NirError:
    node = maker.structure.nodes[name]
    units = "".join(
        f"; {field} = {longest:g} s is {longest / maker.dt:.6g} steps of dt = {maker.dt:g} s"
        for field in _TIME_CONSTANTS
        if hasattr(node, field) and (longest := float(np.max(getattr(node, field))))
    )
    return NirError(
        f"{name} ({type(node).__name__}): threshold",
        f"no input reaches it in T = {graph.timesteps} steps: the membrane gets to "
        f"{reach.highest:.3g} of {reach.threshold:.3g} (in units of the weights){units}",
        "a threshold that some input reaches",
        _remedy(source, graph, maker, name),
    )


def _remedy(source: nir.NIRGraph, graph: Graph, maker: FloatMaker, name: str) -> str:
    """Return a remedy that makes the neurons fire, verified by trying it."""
    # Try other time steps first, then more steps, then both.
    for doublings in range(_MOST_DOUBLINGS + 1):
        steps = graph.timesteps << doublings
        steps_advice = f" and timesteps (--timesteps {steps})" if doublings else ""
        for dt in sorted(_USUAL_DT, key=partial(_unlikely, maker.structure.nodes[name])):
            if dt != maker.dt and _fires(source, maker, dt, steps, name):
                condition = "a step is the unit of time" if dt == 1.0 else "that is the step"
                return f"pass dt (--dt {dt:g}) if {condition} in that program{steps_advice}"
        if doublings and _fires(source, maker, maker.dt, steps, name):
            return f"pass timesteps (--timesteps {steps})"
    return "check the units of weights, thresholds and time constants in that program"


def _unlikely(node: nir.NIRNode, dt: float) -> float:
    """Return the distance of a node's time constants from the usual ten steps, in decades."""
    constants = [getattr(node, field) for field in _TIME_CONSTANTS if hasattr(node, field)]
    if not constants:
        return 0.0
    return float(np.abs(np.log10(np.max(constants[0]) / dt / _USUAL_STEPS)))


def _fires(source: nir.NIRGraph, maker: FloatMaker, dt: float, steps: int, name: str) -> bool:
    try:
        other = replace(
            maker, dt=dt, notes=[], metadata={}, nodes={}, shapes={}, sent={}, layers={}
        )
        reach = _reaches(Graph.build(other.make(), steps, {}))
    except SdtLavaError:
        return False
    return reach[name].fires
