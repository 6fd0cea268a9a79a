"""Random sigma-delta networks: convolutions, dense layers, every parameter."""

from __future__ import annotations

import numpy as np

from sdt_lava.ir import Conv, Delta, Dense, Flatten, Graph, Input, Sigma, SigmaDelta


def random_sigma_delta_chain(
    rng, *, shape=(2, 5, 4), channels=(3,), features=(4,), lead=True, encodes=True, decodes=True
):
    """Return a chain; weights are of a size at which messages neither vanish nor explode."""
    exponents = {
        "spike_exponent": int(rng.integers(3, 7)),
        "state_exponent": int(rng.integers(3, 7)),
    }
    nodes = [Input(name="input", shape=shape, scale=64.0, low=-256, high=254, step=2)]
    if encodes:
        nodes.append(
            Delta(name="encoder", inputs=("input",), threshold=int(rng.integers(0, 9)), **exponents)
        )
    size, images = shape, len(shape) == 3

    def neurons(name, count):
        bias = rng.integers(-40, 41, count).astype(np.int32) if rng.random() < 0.8 else None
        leads = 1 + sum(isinstance(node, Conv | Dense) for node in nodes[:-1])
        return SigmaDelta(
            name=name,
            inputs=(nodes[-1].name,),
            threshold=int(rng.integers(0, 12)),
            bias=bias,
            rectified=bool(rng.random() < 0.7),
            lead=leads if lead else 0,
            **exponents,
        )

    for index, count in enumerate(channels if images else ()):
        weight = _weights(rng, (count, size[0], 2, 3), size[0] * 6)
        source, name = nodes[-1].name, f"conv{index}"
        nodes.append(Conv(name=f"{name}.synapse", inputs=(source,), weight=weight, padding=(1, 1)))
        size = nodes[-1].output_shape([size])
        nodes.append(neurons(name, count))
    if images:
        nodes.append(Flatten(name="flat", inputs=(nodes[-1].name,)))
        size = (int(np.prod(size)),)
    for index, count in enumerate(features):
        weight = _weights(rng, (count, size[0]), size[0])
        source, name = nodes[-1].name, f"dense{index}"
        nodes.append(Dense(name=f"{name}.synapse", inputs=(source,), weight=weight))
        nodes.append(neurons(name, count))
        size = (count,)
    if decodes:
        weight = _weights(rng, (2, size[0]), size[0])
        source = nodes[-1].name
        nodes.append(Dense(name="output.synapse", inputs=(source,), weight=weight))
        nodes.append(Sigma(name="output", inputs=("output.synapse",), scale=2.0**12))
    return Graph.build(nodes, timesteps=3)


def _weights(rng, shape, fan_in):
    largest = int(np.clip(48 / np.sqrt(fan_in), 2, 127))
    return (2 * rng.integers(-largest, largest + 1, shape)).astype(np.int32)
