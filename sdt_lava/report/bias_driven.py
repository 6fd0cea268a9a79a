"""What a network does without input: spikes that its biases alone cause."""

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
        Neurons in it.
    spikes : int
        Spikes that they sent.
    steps : tuple of int
        Steps, counted from 0, in which at least one of them fired.
    """

    name: str
    neurons: int
    spikes: int
    steps: tuple[int, ...]


@dataclass(frozen=True)
class BiasDrivenActivity:
    """Activity during one empty sample, which is the floor of every other sample's cost.

    Parameters
    ----------
    layers : tuple of BiasDrivenLayer
        Every layer of spiking neurons.
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
        """Spikes of all layers."""
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
    """Run one empty sample and report what fires.

    A BatchNorm becomes a bias of the neurons when it is folded. A neuron whose bias alone lifts
    it over its threshold fires without any event, and so causes work in the layers behind it.
    A network without biases does nothing at all.

    Parameters
    ----------
    net : Graph
        Integer network.
    timesteps : int, optional
        Steps of the sample; by default the network's.
    """
    from sdt_lava.backends.run import simulate

    steps = timesteps or net.timesteps
    result = simulate(net, np.zeros((1, steps, *net.input_shape), np.float32), "engine")
    return BiasDrivenActivity(_layers(result), steps, result.synops.total)


def _layers(result: Result) -> tuple[BiasDrivenLayer, ...]:
    layers = []
    for name, spikes in result.spikes.items():
        in_step = spikes.reshape(len(spikes), -1).sum(axis=1, dtype=np.int64)
        steps = tuple(int(step) for step in np.flatnonzero(in_step))
        layers.append(BiasDrivenLayer(name, int(spikes[0].size), int(in_step.sum()), steps))
    return tuple(layers)
