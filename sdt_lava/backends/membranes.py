"""The membranes of a network's last neurons at the end of each sample.

Some networks end in neurons that never fire, whose membrane is the result: the steering angle of
lava-dl's PilotNet is the ``v`` that its tutorial reads after each sample. No back end sends
membranes; they follow from the network and what its other neurons sent, which is recorded and the
same everywhere. So they are computed here, in the arithmetic of the reference, as are counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.ir import Flatten, Graph, GroupSum, SpikingNeurons
from sdt_lava.ir.batches import samples_at_once
from sdt_lava.ir.bounds import never_fires
from sdt_lava.ir.numerics import (
    ACTIVATION_SHIFT,
    DECAY_UNITY,
    THRESHOLD_LIMIT,
    IntArray,
    NeuronStates,
)
from sdt_lava.ir.reference import evaluate_from, run_neurons

# One synaptic weight moves v by so many of its units.
MEMBRANE_UNIT = 1 << ACTIVATION_SHIFT


def last_neurons(net: Graph) -> SpikingNeurons | None:
    """Return the spiking neurons at the end of a network; None if it ends in something else.

    Sums over groups of them are made by the host.
    """
    node = net.nodes[net.output_name]
    while isinstance(node, GroupSum | Flatten):
        node = net.nodes[node.inputs[0]]
    return node if isinstance(node, SpikingNeurons) else None


def ends_in_membranes(net: Graph, steps: int) -> bool:
    """Whether a network's last neurons never fire, so that their membranes are its result.

    Parameters
    ----------
    net : Graph
        Integer graph, with the input range of the data.
    steps : int
        For how many steps its neurons integrate.

    Returns
    -------
    bool
        True if their threshold is the largest there is, as in PilotNet and SLAYER's Affine block,
        or if no input reaches it in so many steps.
    """
    node = net.nodes[net.output_name]
    if not isinstance(node, SpikingNeurons):
        return False
    return int(np.min(node.threshold)) >= THRESHOLD_LIMIT or never_fires(net, node, steps)


def end_membranes(
    net: Graph, frames: IntArray, sent: Mapping[str, NDArray[Any]], *, reset: bool
) -> dict[str, IntArray]:
    """Return v of the last neurons after the last step of each sample.

    Parameters
    ----------
    net : Graph
        Integer graph.
    frames : ndarray of int64
        Its input, ``(T, B, *shape)``.
    sent : mapping of str to ndarray
        What its neurons sent, ``(T, B, *shape)``.
    reset : bool
        Whether every sample starts from rest.

    Returns
    -------
    dict of str to ndarray of int64
        ``(B, *shape)`` by name, in units of 1/64 of a weight, as Lava's v; after a spike it is 0.
        Empty if the network does not end in spiking neurons.
    """
    node = last_neurons(net)
    if node is None:
        return {}
    samples = frames.shape[1]
    size = samples_at_once(net, len(frames)) if reset else 1
    states: NeuronStates = {}
    parts = []
    everything = _known(net, node, frames, sent)
    for start in range(0, samples, size):
        known = {name: values[:, start : start + size] for name, values in everything.items()}
        currents = [evaluate_from(net, name, known) for name in node.inputs]
        states = {} if reset else states
        run_neurons(node, currents, states)
        parts.append(states[node.name][1])
    return {node.name: np.concatenate(parts).astype(np.int64)}


def _known(
    net: Graph, node: SpikingNeurons, frames: IntArray, sent: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Return what is known of the nodes that lead to the last neurons."""
    known: dict[str, NDArray[Any]] = {net.input.name: frames}
    waiting = list(node.inputs)
    while waiting:
        name = waiting.pop()
        if name in sent:
            known[name] = sent[name]
        elif name not in known:
            waiting += net.nodes[name].inputs
    return known


def membrane_logits(node: SpikingNeurons, membranes: IntArray) -> NDArray[np.generic]:
    """Return membranes in units of a weight, ``(B, neurons)``.

    Neurons that only add up give whole numbers, int64: the sums over all steps. Those that leak
    give fractions, float64, which hold them exactly.
    """
    flat = membranes.reshape(len(membranes), -1)
    adds_up = np.all(np.equal(node.current_decay, DECAY_UNITY)) and not np.any(node.voltage_decay)
    divided = node.drive_shift > 0
    if adds_up and not divided and node.bias_exponent >= ACTIVATION_SHIFT:
        return flat >> ACTIVATION_SHIFT
    return flat / MEMBRANE_UNIT
