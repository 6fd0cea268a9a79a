"""Compute on the host what a compiled network omits of the original network's output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from sdt_lava.ir import Graph, GroupSum
from sdt_lava.ir.numerics import IntArray
from sdt_lava.ir.reference import evaluate_from

if TYPE_CHECKING:
    from sdt_lava.compiler.compile import CompiledNetwork


def network_outputs(
    compiled: CompiledNetwork, recorded: Mapping[str, IntArray]
) -> dict[str, IntArray]:
    """Return the output of the original network's nodes from recorded populations.

    Parameters
    ----------
    compiled : CompiledNetwork
        Network that ran.
    recorded : mapping of str to ndarray
        Output of each observed population, ``(T, B, *shape)``.

    Returns
    -------
    dict of str to ndarray
        Output of every LIF and of the network, ``(T, B, *shape)``. It includes the bias of the head
        and the spikes of neurons without a population.
    """
    outputs = with_readout(compiled, recorded)
    for name in compiled.implied:
        outputs[name] = evaluate_from(compiled.source, name, outputs)
    return outputs


def with_readout(
    compiled: CompiledNetwork, recorded: Mapping[str, IntArray]
) -> dict[str, IntArray]:
    """Return recorded outputs with the readout, including its bias, instead of its relay."""
    net, outputs = compiled.source, dict(recorded)
    if isinstance(net.nodes[net.output_name], GroupSum):
        outputs[net.output_name] = evaluate_from(net, net.output_name, outputs)
    elif compiled.output_name != net.output_name:
        # The relay sends the weighted sums, or the final sums of a network without a head.
        sums = outputs.pop(compiled.output_name).astype(np.int64)
        outputs[net.output_name] = sums + _bias(net)
    return outputs


def _bias(net: Graph) -> IntArray | int:
    bias = net.readout.bias if net.readout is not None else None
    return 0 if bias is None else np.asarray(bias, np.int64)
