"""Which graphs lava-dl's netx runs exactly, so that they may have the stock layout."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from sdt_lava.io.netx.schema import STOCK_CONV_LIMIT, STOCK_DELAY_LIMIT
from sdt_lava.ir import LIF_KINDS, Conv, CubaLif, Dense, Flatten, Graph, Input, Lif, Node
from sdt_lava.ir.numerics import BIAS_EXPONENT, DECAY_UNITY, WEIGHT_HIGH, WEIGHT_LOW

# One layer of the file: a node, and the neurons that belong to it.
Chain = list[tuple[Node, Lif | CubaLif | None]]


class NotSequentialError(Exception):
    """Why stock netx cannot run a graph, or would run it wrongly."""


def find_chain(graph: Graph) -> Chain:
    """Split a sequential graph into stock layers.

    Raises
    ------
    NotSequentialError
        If stock netx would refuse the network or give other spikes.
    """
    nodes = list(graph)
    for before, node in pairwise(nodes):
        if node.inputs != (before.name,):
            raise NotSequentialError(f"{node.name!r} does not read {before.name!r} alone")
    chain: Chain = []
    position = 0
    while position < len(nodes):
        node = nodes[position]
        follower = nodes[position + 1] if position + 1 < len(nodes) else None
        if type(node) not in _CHECKS:
            raise NotSequentialError(f"{node.name!r} is a {node.kind}")
        _CHECKS[type(node)](node, follower, graph)
        neuron = follower if isinstance(follower, LIF_KINDS) else None
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
        whole = float(node.scale).is_integer() and float(node.offset).is_integer()
        if not whole:
            raise NotSequentialError("netx cuts off fractions of an image's weight and bias")
        memoryless = np.all(np.equal(follower.current_decay, DECAY_UNITY))
        if not follower.is_plain or follower.bias is not None or not memoryless:
            raise NotSequentialError(f"{follower.name!r} has more than the image as its bias")
        # The file has one decay of u for all; any is the same, because nothing reaches u.
        if np.ndim(follower.current_decay):
            raise NotSequentialError(f"current decays by channel in {follower.name!r}")


def _check_flatten(node: Flatten, follower: Node | None, graph: Graph) -> None:
    if len(graph.shapes[node.inputs[0]]) != 3 or not isinstance(follower, Dense):
        raise NotSequentialError("netx flattens only images, and only before a dense layer")


def _check_neuron(node: Conv | Dense, follower: Node | None) -> None:
    if np.ndim(node.exponent) or node.exponent:
        raise NotSequentialError(f"{node.name!r} has a weight exponent, which netx lacks")
    if not isinstance(follower, LIF_KINDS):
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
    if isinstance(follower, CubaLif) and follower.weight_rec is not None:
        parts.append(np.asarray(follower.weight_rec))
    if not survive_scaling(parts):
        raise NotSequentialError(f"netx changes the weights of {node.name!r}")


def survive_scaling(parts: list[np.ndarray]) -> bool:
    """Tell whether the weights of a dense layer reach Lava unchanged.

    Netx shifts them to the full range of eight bits and undoes it with a weight exponent. It takes
    the shift of a recurrent layer from both of its matrices. It divides by zero if no weight is
    positive, shifts too large excitatory ones to zero, and shifts inhibitory ones down to -256,
    which Lava clips if there are no others in the matrix.
    """
    high = max(int(part.max()) for part in parts)
    low = min(int(part.min()) for part in parts)
    most = WEIGHT_HIGH if low >= 0 else WEIGHT_HIGH - 1
    if high <= 0 or high > most or low < WEIGHT_LOW:
        return False
    scale = most / high if low >= 0 else min(127 / high, -128 / low)
    shift = int(np.floor(np.log2(scale))) + (low < 0)
    scaled = [part << shift for part in parts]
    if low < 0 and any((part & 1).any() for part in scaled):
        return False
    return all(int(part.max()) > 0 or int(part.min()) >= -WEIGHT_HIGH for part in scaled)


def _check_early_spikes(chain: Chain) -> None:
    """Refuse biases where spikes outlast the step in which they are made.

    Netx resets a neuron when the first sample reaches it. Before that, a bias makes it spike, and
    what is delayed or comes back arrives after the reset.
    """
    biased = ""
    for _, neuron in chain:
        if neuron is not None and neuron.bias is not None and int(neuron.bias.max()) > 0:
            biased = neuron.name
        if biased and isinstance(neuron, CubaLif) and not neuron.is_plain:
            raise NotSequentialError(
                f"{biased!r} spikes before the first sample, and {neuron.name!r} remembers it"
            )


_CHECKS: dict[type[Node], Callable[[Any, Node | None, Graph], None]] = {
    Input: _check_input,
    Flatten: _check_flatten,
    Conv: _check_conv,
    Dense: _check_dense,
}
