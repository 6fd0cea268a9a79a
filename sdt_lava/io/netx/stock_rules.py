"""Decide whether lava-dl's netx runs a graph exactly, so that the stock layout can be used."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from sdt_lava.io.netx.schema import STOCK_CONV_LIMIT, STOCK_DELAY_LIMIT
from sdt_lava.ir import Conv, CubaLif, Dense, Flatten, Graph, Input, Node, SpikingNeurons
from sdt_lava.ir.numerics import BIAS_EXPONENT, DECAY_UNITY, WEIGHT_HIGH, WEIGHT_LOW

# The layers of the file: each has a node and the neurons that belong to it.
Chain = list[tuple[Node, SpikingNeurons | None]]


class NotSequentialError(Exception):
    """Raised if stock netx cannot run a graph, or would run it incorrectly."""


def find_chain(graph: Graph) -> Chain:
    """Split a sequential graph into stock layers.

    Raises
    ------
    NotSequentialError
        If stock netx would refuse the network or produce different spikes.
    """
    nodes = list(graph)
    for previous, node in pairwise(nodes):
        if node.inputs != (previous.name,):
            raise NotSequentialError(f"{node.name!r} does not read {previous.name!r} alone")
    chain: Chain = []
    position = 0
    while position < len(nodes):
        node = nodes[position]
        follower = nodes[position + 1] if position + 1 < len(nodes) else None
        if type(node) not in _CHECKS:
            raise NotSequentialError(f"{node.name!r} is a {node.kind}")
        _CHECKS[type(node)](node, follower, graph)
        neuron = follower if isinstance(follower, SpikingNeurons) else None
        chain.append((node, neuron))
        position += 1 if neuron is None else 2
    if chain[-1][1] is None:
        raise NotSequentialError("it does not end in neurons")
    _check_early_spikes(chain)
    return chain


def _check_input(node: Input, follower: Node | None, graph: Graph) -> None:
    if len(node.shape) not in (1, 3):
        raise NotSequentialError(f"input of shape {node.shape}")
    if isinstance(follower, CubaLif):
        is_whole = float(node.scale).is_integer() and float(node.offset).is_integer()
        if not is_whole:
            raise NotSequentialError("netx cuts off fractions of an image's weight and bias")
        is_memoryless = np.all(np.equal(follower.current_decay, DECAY_UNITY))
        if not follower.is_plain or follower.bias is not None or not is_memoryless:
            raise NotSequentialError(f"{follower.name!r} has more than the image as its bias")
        # The file has a single decay of u, whose value does not matter because u has no input.
        if np.ndim(follower.current_decay):
            raise NotSequentialError(f"current decays by channel in {follower.name!r}")


def _check_flatten(node: Flatten, follower: Node | None, graph: Graph) -> None:
    if len(graph.shapes[node.inputs[0]]) != 3 or not isinstance(follower, Dense):
        raise NotSequentialError("netx flattens only images, and only before a dense layer")


def _check_neuron(node: Conv | Dense, follower: Node | None) -> None:
    if np.ndim(node.exponent) or node.exponent:
        raise NotSequentialError(f"{node.name!r} has a weight exponent, which netx lacks")
    if not isinstance(follower, SpikingNeurons):
        raise NotSequentialError(f"{node.name!r} is not followed by neurons")
    if follower.bias_exponent != BIAS_EXPONENT:
        raise NotSequentialError(f"bias exponent {follower.bias_exponent} of {follower.name!r}")
    if isinstance(follower, CubaLif):
        _check_cuba(node, follower)


def _check_cuba(node: Conv | Dense, neurons: CubaLif) -> None:
    if neurons.drive_shift:
        raise NotSequentialError(f"the drive of {neurons.name!r} is shifted, which netx lacks")
    if neurons.longest_delay:
        if isinstance(node, Conv):
            raise NotSequentialError(f"netx ignores the delays of {neurons.name!r}")
        if neurons.longest_delay > STOCK_DELAY_LIMIT:
            raise NotSequentialError(f"netx cuts off a delay of {neurons.longest_delay}")
        if neurons.weight_rec is not None:
            raise NotSequentialError(f"{neurons.name!r} is delayed and recurrent")
        if neurons.bias is not None:
            raise NotSequentialError(f"netx delays the input of {neurons.name!r}, not its bias")
    if neurons.weight_rec is not None and isinstance(node, Conv):
        raise NotSequentialError(f"{neurons.name!r} is recurrent behind a convolution")
    parameters = (neurons.threshold, neurons.voltage_decay, neurons.current_decay)
    if neurons.is_plain and not any(map(np.ndim, parameters)):
        raise NotSequentialError(f"{neurons.name!r} would be read as LIF neurons")


def _check_conv(node: Conv, follower: Node | None, graph: Graph) -> None:
    _check_neuron(node, follower)
    window = (*node.stride, *node.padding, *node.dilation, *node.weight.shape[2:], node.groups)
    if max(window) > STOCK_CONV_LIMIT:
        raise NotSequentialError(f"{node.name!r}: Lava keeps {max(window)} in eight bits")


def _check_dense(node: Dense, follower: Node | None, graph: Graph) -> None:
    _check_neuron(node, follower)
    parts = [np.asarray(node.weight)]
    if isinstance(follower, SpikingNeurons) and follower.weight_rec is not None:
        parts.append(np.asarray(follower.weight_rec))
    if not survive_scaling(parts):
        raise NotSequentialError(f"netx changes the weights of {node.name!r}")


def survive_scaling(parts: list[np.ndarray]) -> bool:
    """Return whether netx passes the weights of a dense layer to Lava unchanged.

    Netx shifts the weights to the full range of eight bits and compensates with a weight exponent.
    The shift of a recurrent layer depends on both of its matrices. Netx divides by zero if no
    weight is positive, shifts excitatory weights that are too large to zero, and shifts inhibitory
    ones down to -256, which Lava clips if the matrix has no positive weights.
    """
    high = max(int(part.max()) for part in parts)
    low = min(int(part.min()) for part in parts)
    maximum = WEIGHT_HIGH if low >= 0 else WEIGHT_HIGH - 1
    if high <= 0 or high > maximum or low < WEIGHT_LOW:
        return False
    scale = maximum / high if low >= 0 else min(127 / high, -128 / low)
    shift = int(np.floor(np.log2(scale))) + (low < 0)
    scaled_parts = [part << shift for part in parts]
    if low < 0 and any((part & 1).any() for part in scaled_parts):
        return False
    return all(int(part.max()) > 0 or int(part.min()) >= -WEIGHT_HIGH for part in scaled_parts)


def _check_early_spikes(chain: Chain) -> None:
    """Refuse positive biases if delays or recurrence keep spikes beyond the step they occur in.

    Netx resets a neuron when the first sample reaches it. Before that, a bias can make it spike,
    and delayed or recurrent spikes then arrive after the reset.
    """
    biased_name = ""
    for _, neuron in chain:
        if neuron is not None and neuron.bias is not None and int(neuron.bias.max()) > 0:
            biased_name = neuron.name
        if biased_name and neuron is not None and not neuron.is_plain:
            raise NotSequentialError(
                f"{biased_name!r} spikes before the first sample, and {neuron.name!r} remembers it"
            )


_CHECKS: dict[type[Node], Callable[[Any, Node | None, Graph], None]] = {
    Input: _check_input,
    Flatten: _check_flatten,
    Conv: _check_conv,
    Dense: _check_dense,
}
