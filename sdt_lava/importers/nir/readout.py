"""Convert the Output of a NIR graph, which reads neurons or a layer that is summed over time.

The result of leaky integrators, which never fire, is their membrane.
"""

from __future__ import annotations

from math import prod
from typing import Any

import nir
import numpy as np

from sdt_lava.errors import NirError
from sdt_lava.importers.nir.maker import Maker
from sdt_lava.importers.nir.neurons import LEAKY, integrator_gain
from sdt_lava.importers.nir.operators import Matrix, Reshape, as_matrix
from sdt_lava.importers.nir.populations import Arriving
from sdt_lava.importers.nir.structure import Structure
from sdt_lava.ir import Flatten, Readout


def read_output(maker: Maker) -> None:
    """Add a readout if the Output does not read neurons.

    Raises
    ------
    NirError
        If the Output reads the Input, a sum of currents or an image of currents.
    """
    structure = maker.structure
    last = structure.sources[structure.output][0]
    if isinstance(structure.nodes[_first_that_computes(structure, last)], LEAKY):
        return
    if last in structure.senders:
        if isinstance(structure.nodes[last], nir.Input):
            raise NirError(
                structure.output, "an Output that reads the Input", "a layer between them"
            )
        return
    node = structure.nodes[last]
    if isinstance(node, nir.I):
        _read_integrator(maker, last, node)
        return
    ways = structure.ways_to(structure.output)
    if len(ways) != 1:
        found = f"an Output that reads a sum of {len(ways)} currents"
        raise NirError(structure.output, found, "one layer", "join the layers into one matrix")
    others, _, shape = maker.arriving(structure.output)
    if len(shape) != 1:
        raise NirError(
            structure.output, f"a current of shape {shape} without neurons behind it",
            "neurons, or a vector", "put a Flatten or neurons before the Output",
        )  # fmt: skip
    _add_readout(maker, others[0], 1.0)


def check_is_last(structure: Structure, name: str, node: Any) -> None:
    """Check that only the Output reads the membrane of leaky integrators.

    Raises
    ------
    NirError
        If a layer or neurons read it.
    """
    queue = list(structure.readers[name])
    while queue:
        reader = queue.pop()
        if reader == structure.output:
            continue
        if not _passes_on(structure.nodes[reader]):
            kind = type(node).__name__
            raise NirError(
                f"{name} ({kind})", f"a membrane that {reader!r} reads at every step",
                f"{kind} that only the Output reads, after the last step",
                "let the Output read it, or take neurons that fire",
            )  # fmt: skip
        queue += structure.readers[reader]


def _first_that_computes(structure: Structure, name: str) -> str:
    """Return the node itself, or the last node before it that changes values."""
    while name not in structure.senders and _passes_on(structure.nodes[name]):
        if len(structure.sources[name]) != 1:
            break
        name = structure.sources[name][0]
    return name


def _passes_on(node: Any) -> bool:
    """Return whether a node on the way to the Output leaves values unchanged."""
    return isinstance(node, (nir.Flatten, nir.Input, nir.Output))


def _read_integrator(maker: Maker, name: str, node: nir.I) -> None:
    """Convert integrators that never fire to a readout, which sums over all steps."""
    others, recurrent, shape = maker.arriving(name)
    if len(others) != 1 or recurrent:
        raise NirError(name, f"integrators of {len(others)} currents", "one current")
    gain, notes = integrator_gain(node, name, shape, maker.dt)
    maker.notes += [*notes, f"{name}: the result is its state after the last step"]
    _add_readout(maker, others[0], np.broadcast_to(gain, shape).reshape(-1, 1))


def _add_readout(maker: Maker, arrives: Arriving, gain: Any) -> None:
    weights = [layer for layer in arrives.layers if not isinstance(layer, Reshape)]
    main = weights[-1].name if weights else f"{maker.structure.output}.readout"
    matrix = as_matrix(arrives.layers, arrives.shape, prod(arrives.after), main)
    constant = arrives.constant()
    source = arrives.node
    if len(weights) == 1 and isinstance(weights[0], Matrix):
        source = maker.add_flattens(arrives)
        layer_bias = weights[0].bias
        constant = constant if layer_bias is None else layer_bias
    if len(maker.shapes[source]) > 1:
        flatten = Flatten(name=maker.free_name(f"{main}.flatten"), inputs=(source,))
        maker.add(flatten)
        source = flatten.name
    bias = None if constant is None else constant.reshape(-1) * np.reshape(gain, -1)
    readout = Readout(name=maker.free_name(main), inputs=(source,), weight=matrix * gain, bias=bias)
    maker.add(readout, main)
