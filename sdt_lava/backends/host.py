"""What the host adds to the output of a compiled network to make it the network's."""

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
    """Return what the network's own nodes emit, from what was recorded of its populations.

    Parameters
    ----------
    compiled : CompiledNetwork
        What ran.
    recorded : mapping of str to ndarray
        ``(T, B, *shape)`` of each of its observed populations.

    Returns
    -------
    dict of str to ndarray
        ``(T, B, *shape)`` of every LIF and of the network's output: with the head's bias, and with
        the spikes of neurons that have no population of their own.
    """
    outputs = with_readout(compiled, recorded)
    for name in compiled.implied:
        outputs[name] = evaluate_from(compiled.source, name, outputs)
    return outputs


def with_readout(
    compiled: CompiledNetwork, recorded: Mapping[str, IntArray]
) -> dict[str, IntArray]:
    """Return recorded outputs with the readout, bias included, in place of its relay."""
    net, outputs = compiled.source, dict(recorded)
    if isinstance(net.nodes[net.output_name], GroupSum):
        outputs[net.output_name] = evaluate_from(net, net.output_name, outputs)
    elif compiled.output_name != net.output_name:
        # The relay sends the weighted sums, or those at a network's end without head.
        sums = outputs.pop(compiled.output_name).astype(np.int64)
        outputs[net.output_name] = sums + _bias(net)
    return outputs


def _bias(net: Graph) -> IntArray | int:
    bias = net.readout.bias if net.readout is not None else None
    return 0 if bias is None else np.asarray(bias, np.int64)
