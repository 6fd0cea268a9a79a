"""Compute the membranes of a network's last neurons at the end of each sample.

Some networks end in neurons that never fire, whose membrane is the result. For example, the
steering angle of lava-dl's PilotNet is the ``v`` that its tutorial reads after each sample. No back
end sends membranes, but they follow from the network and the recorded output of its other neurons,
which is the same on every back end. They are therefore computed here, as counts are, with the
arithmetic of the reference.
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

# Number of units by which a synaptic weight of 1 changes v.
MEMBRANE_UNIT = 1 << ACTIVATION_SHIFT


def last_neurons(net: Graph) -> SpikingNeurons | None:
    """Return the spiking neurons at the end of a network, or None if there are none.

    Sums over groups of neurons are ignored, since the host computes them.
    """
    node = net.nodes[net.output_name]
    while isinstance(node, GroupSum | Flatten):
        node = net.nodes[node.inputs[0]]
    return node if isinstance(node, SpikingNeurons) else None


def ends_in_membranes(net: Graph, steps: int) -> bool:
    """Return whether a network's last neurons never fire, so that their membranes are its result.

    Parameters
    ----------
    net : Graph
        Integer graph with the input range of the data.
    steps : int
        Number of steps over which the neurons integrate.

    Returns
    -------
    bool
        True if the threshold is the largest possible, as in PilotNet and SLAYER's Affine block, or
        if no input can reach it within the given steps.
    """
    node = net.nodes[net.output_name]
    if not isinstance(node, SpikingNeurons):
        return False
    return int(np.min(node.threshold)) >= THRESHOLD_LIMIT or never_fires(net, node, steps)


def end_membranes(
    net: Graph, frames: IntArray, sent: Mapping[str, NDArray[Any]], *, reset: bool
) -> dict[str, IntArray]:
    """Return the membranes v of the last neurons after the last step of each sample.

    Parameters
    ----------
    net : Graph
        Integer graph.
    frames : ndarray of int64
        Input of the network, ``(T, B, *shape)``.
    sent : mapping of str to ndarray
        Recorded output of the neurons, ``(T, B, *shape)``.
    reset : bool
        Whether every sample starts from rest.

    Returns
    -------
    dict of str to ndarray of int64
        Membranes by name, ``(B, *shape)``, in units of 1/64 of a weight, as Lava's v. A membrane is
        0 after a spike. Empty if the network does not end in spiking neurons.
    """
    node = last_neurons(net)
    if node is None:
        return {}
    samples = frames.shape[1]
    size = samples_at_once(net, len(frames)) if reset else 1
    states: NeuronStates = {}
    parts = []
    recorded = _known(net, node, frames, sent)
    for start in range(0, samples, size):
        values_by_name = {
            name: values[:, start : start + size] for name, values in recorded.items()
        }
        currents = [evaluate_from(net, name, values_by_name) for name in node.inputs]
        states = {} if reset else states
        run_neurons(node, currents, states)
        parts.append(states[node.name][1])
    return {node.name: np.concatenate(parts).astype(np.int64)}


def _known(
    net: Graph, node: SpikingNeurons, frames: IntArray, sent: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Return the recorded outputs of the nodes from which the last neurons are computed."""
    values_by_name: dict[str, NDArray[Any]] = {net.input.name: frames}
    pending = list(node.inputs)
    while pending:
        name = pending.pop()
        if name in sent:
            values_by_name[name] = sent[name]
        elif name not in values_by_name:
            pending += net.nodes[name].inputs
    return values_by_name


def membrane_logits(node: SpikingNeurons, membranes: IntArray) -> NDArray[np.generic]:
    """Convert membranes to units of a weight, ``(B, neurons)``.

    Neurons that only integrate have whole numbers, int64, which are sums over all steps. Leaky
    neurons have fractions, which float64 represents exactly.
    """
    flat = membranes.reshape(len(membranes), -1)
    is_integrator = np.all(np.equal(node.current_decay, DECAY_UNITY)) and not np.any(
        node.voltage_decay
    )
    has_divided_input = node.drive_shift > 0
    if is_integrator and not has_divided_input and node.bias_exponent >= ACTIVATION_SHIFT:
        return flat >> ACTIVATION_SHIFT
    return flat / MEMBRANE_UNIT
