"""Measure a network's activity without input: spikes caused by its biases alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sdt_lava.ir import Graph

if TYPE_CHECKING:
    from sdt_lava.backends.result import Result


@dataclass(frozen=True)
class BiasDrivenLayer:
    """Spikes of one layer during an empty sample.

    Parameters
    ----------
    name : str
        Layer.
    neurons : int
        Number of neurons.
    spikes : int
        Number of spikes.
    steps : tuple of int
        Steps, counted from 0, in which at least one neuron fired.
    """

    name: str
    neurons: int
    spikes: int
    steps: tuple[int, ...]


@dataclass(frozen=True)
class BiasDrivenActivity:
    """Activity during an empty sample, a lower limit of the cost of any sample.

    Parameters
    ----------
    layers : tuple of BiasDrivenLayer
        All layers of spiking neurons.
    timesteps : int
        Steps of the sample.
    synops : int
        Synaptic operations of the sample.
    """

    layers: tuple[BiasDrivenLayer, ...]
    timesteps: int
    synops: int

    @property
    def spikes(self) -> int:
        """Number of spikes in all layers."""
        return sum(layer.spikes for layer in self.layers)

    @property
    def steps(self) -> tuple[int, ...]:
        """Steps in which a neuron of any layer fired."""
        return tuple(sorted({step for layer in self.layers for step in layer.steps}))

    def __str__(self) -> str:
        """Return a sentence, and a line for each layer that fired."""
        if not self.spikes:
            return f"an empty sample of {self.timesteps} steps: no spike, no synaptic operation"
        first = (
            f"an empty sample of {self.timesteps} steps: {self.spikes} bias-driven spikes in "
            f"{len(self.steps)} steps, {self.synops} synaptic operations"
        )
        lines = [
            f"  {layer.name}: {layer.spikes} spikes of {layer.neurons} neurons, "
            f"in steps {', '.join(map(str, layer.steps))}"
            for layer in self.layers
            if layer.spikes
        ]
        return "\n".join([first, *lines])


def bias_driven_activity(net: Graph, timesteps: int | None = None) -> BiasDrivenActivity:
    """Run one empty sample and report the neurons that fire.

    Folding converts a BatchNorm to a bias of the neurons. A neuron whose bias alone lifts it above
    its threshold fires without any event, and thus causes work in the following layers. A network
    without biases does nothing.

    Parameters
    ----------
    net : Graph
        Integer network.
    timesteps : int, optional
        Steps of the sample; those of the network by default.
    """
    from sdt_lava.backends.run import simulate

    steps = timesteps or net.timesteps
    result = simulate(net, np.zeros((1, steps, *net.input_shape), np.float32), "engine")
    return BiasDrivenActivity(_layers(result), steps, result.synops.total)


def _layers(result: Result) -> tuple[BiasDrivenLayer, ...]:
    layers = []
    for name, spikes in result.spikes.items():
        spikes_per_step = spikes.reshape(len(spikes), -1).sum(axis=1, dtype=np.int64)
        steps = tuple(int(step) for step in np.flatnonzero(spikes_per_step))
        layers.append(BiasDrivenLayer(name, int(spikes[0].size), int(spikes_per_step.sum()), steps))
    return tuple(layers)
