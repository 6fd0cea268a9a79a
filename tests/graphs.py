"""Random integer graphs for tests: sequential ones and small Spike-driven Transformers.

Weights are even and thresholds are set from the expected spread of the currents, so that neurons
neither stay silent nor fire all the time.
"""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from sdt_lava.ir import (
    And,
    Conv,
    Dense,
    Flatten,
    Graph,
    Input,
    Lif,
    MaxPool,
    Node,
    OrPool,
    Readout,
    Shortcut,
    Subsample,
    TokenDilate,
    TokenMean,
    TokenSum,
)
from sdt_lava.ir.numerics import ACTIVATION_LIMIT, THRESHOLD_LIMIT

# Mean square of a spike at a typical firing rate.
_SPIKE_POWER = 0.3


class GraphMaker:
    """Collect random nodes and keep track of shapes and of the spread of currents.

    Parameters
    ----------
    rng : numpy Generator
        Source of weights and biases.
    biases : bool
        Give neurons random biases.
    spread_limit : float
        Currents get smaller weights where their expected spread would be larger, so that no sum
        leaves the 24-bit range.
    """

    def __init__(
        self, rng: np.random.Generator, *, biases: bool = True, spread_limit: float = 10_000
    ) -> None:
        self.rng, self.biases, self.spread_limit = rng, biases, spread_limit
        self.nodes: list[Node] = []
        self.shape: dict[str, tuple[int, ...]] = {}
        self.power: dict[str, float] = {}  # mean square of what the node emits

    def add(self, node: Node, power: float = _SPIKE_POWER) -> str:
        """Append a node and return its name."""
        self.nodes.append(node)
        self.shape[node.name] = node.output_shape([self.shape[name] for name in node.inputs])
        self.power[node.name] = power
        return node.name

    def input(self, shape: tuple[int, ...], low: int = 0, high: int = 1) -> str:
        scale = 1.0 if (low, high) == (0, 1) else float(high)
        node = Input(name="input", shape=shape, low=low, high=high, scale=scale)
        return self.add(node, 0.5 if high == 1 else (low * low + low * high + high * high) / 3)

    def weights(self, *shape: int, power: float = _SPIKE_POWER) -> np.ndarray:
        """Random even weights with both signs for inputs of that mean square."""
        spread = 254 / sqrt(3) * sqrt(prod(shape[1:]) * power)
        half = max(1, int(127 * min(1, self.spread_limit / spread)))
        weight = 2 * self.rng.integers(-half, half + 1, shape)
        weight.flat[0] = 2 * half  # never all zero or purely inhibitory
        return weight

    def _synapse(self, kind: type[Conv] | type[Dense], source: str, weight, **fields) -> str:
        fan_in = prod(weight.shape[1:])
        power = float((weight.astype(float) ** 2).mean()) * fan_in * self.power[source]
        power *= float(np.mean(4.0 ** np.asarray(fields.get("exponent", 0))))
        return self.add(kind(inputs=(source,), weight=weight, **fields), power)

    def conv(self, name: str, source: str, out: int, kernel=(3, 3), **fields) -> str:
        per_group = self.shape[source][0] // fields.get("groups", 1)
        weight = self.weights(out, per_group, *kernel, power=self.power[source])
        return self._synapse(Conv, source, weight, name=name, **fields)

    def pointwise(self, name: str, source: str, out: int, **fields) -> str:
        return self.conv(name, source, out, (1, 1), **fields)

    def dense(self, name: str, source: str, out: int, **fields) -> str:
        weight = self.weights(out, prod(self.shape[source]), power=self.power[source])
        return self._synapse(Dense, source, weight, name=name, **fields)

    def lif(self, name: str, *currents: str, **fields) -> str:
        """Neurons with a threshold of half the expected spread."""
        spread = sqrt(sum(self.power[current] for current in currents))
        threshold = int(np.clip(0.5 * spread, 1, THRESHOLD_LIMIT))
        channels = self.shape[currents[0]][0]
        limit = min(threshold // 4 + 1, 4095)
        bias = self.rng.integers(-limit, limit + 1, channels) if self.biases else None
        fields = {"threshold": threshold, "bias": bias, **fields}
        return self.add(Lif(name=name, inputs=currents, **fields))

    def shortcut(self, name: str, *currents: str, **fields) -> str:
        power = sum(self.power[current] for current in currents)
        return self.add(Shortcut(name=name, inputs=currents, **fields), power)

    def graph(self, timesteps: int, **metadata) -> Graph:
        return Graph.build(self.nodes, timesteps, metadata)


def random_chain(
    rng: np.random.Generator,
    *,
    image: tuple[int, ...] = (2, 6, 5),
    convs: tuple[int, ...] = (4, 3),
    denses: tuple[int, ...] = (6, 4),
    timesteps: int = 4,
    low: int = 0,
    high: int = 1,
    biases: bool = True,
    varied: bool = True,
) -> Graph:
    """Return a sequential network: convolutions, flatten, dense layers, each with neurons.

    Parameters
    ----------
    rng : numpy Generator
        Source of all random values.
    image : tuple of int
        ``(C, H, W)``, or ``(features,)`` for a network without convolutions.
    convs, denses : tuple of int
        Output channels of the layers.
    timesteps : int
        Steps of one sample.
    low, high : int
        Range of the input; ``(0, 1)`` is binary.
    biases : bool
        Give neurons biases.
    varied : bool
        Random kernels, strides, paddings, dilations, groups and decays instead of 3x3 and tau = 2.
    """
    # Neurons with long memory add up many currents.
    maker = GraphMaker(rng, biases=biases, spread_limit=1000 if varied else 10_000)
    last = maker.input(image, low, high)
    for index, channels in enumerate(convs):
        block = f"features.{index}"
        window = random_window(rng, maker.shape[last], channels) if varied else {"padding": (1, 1)}
        last = maker.conv(f"{block}.conv", last, channels, block=block, **window)
        last = maker.lif(f"{block}.lif", last, block=block, **_random_decays(rng, varied))
    if len(maker.shape[last]) == 3 and denses:
        last = maker.add(Flatten(name="flatten", inputs=(last,)), maker.power[last])
    for index, features in enumerate(denses):
        last = maker.dense(f"head.{index}.fc", last, features)
        last = maker.lif(f"head.{index}.lif", last, **_random_decays(rng, varied))
    return maker.graph(timesteps, source="random_chain")


def random_window(rng: np.random.Generator, shape: tuple[int, ...], out: int) -> dict:
    """Return the fields of a convolution with any kernel, stride, padding, dilation and groups."""
    channels, *sides = shape
    kernel, stride, padding, dilation = (
        tuple(int(side) for side in rng.integers(low, high, 2, endpoint=True))
        for low, high in ((1, 3), (1, 2), (0, 2), (1, 2))
    )
    fits = all(
        side + 2 * pad >= dilated * (width - 1) + 1
        for side, pad, dilated, width in zip(sides, padding, dilation, kernel, strict=True)
    )
    if not fits:
        kernel = (1, 1)
    groups = [n for n in range(1, channels + 1) if channels % n == 0 and out % n == 0]
    fields = {"stride": stride, "padding": padding, "dilation": dilation}
    return {"kernel": kernel, "groups": int(rng.choice(groups)), **fields}


def _random_decays(rng: np.random.Generator, varied: bool) -> dict[str, int]:
    if not varied:
        return {}
    decays = {"voltage_decay": (2048, 2048, 128, 1024, 0), "current_decay": (4096, 4096, 1024)}
    return {key: int(rng.choice(values)) for key, values in decays.items()}


def random_sdt_graph(
    rng: np.random.Generator,
    *,
    image: tuple[int, int, int] = (2, 8, 8),
    channels: int = 8,
    blocks: int = 1,
    classes: int = 3,
    timesteps: int = 4,
    low: int = 0,
    high: int = 255,
    mlp_ratio: int = 2,
    downsampling: str = "or",
    biases: bool = True,
    attention_weight: int = 2,
    attention_threshold: int = 1,
    dilation_heads: int = 0,
) -> Graph:
    """Return a small Spike-driven Transformer.

    Parameters
    ----------
    rng : numpy Generator
        Source of all random values.
    image : tuple of int
        ``(C, H, W)``; ``(1, 1, 1)`` and odd sides are fine.
    channels : int
        Embedding channels.
    blocks : int
        Encoder blocks: SDSA and MLP, each behind a membrane shortcut.
    classes : int
        Outputs of the readout.
    timesteps : int
        Steps of one sample.
    low, high : int
        Range of the input.
    mlp_ratio : int
        Hidden channels of the MLP as a multiple of `channels`.
    downsampling : {'or', 'max', 'stride', 'subsample', 'none'}
        How the patch splitting halves the image: OR-pool of spikes, max-pool of currents, a strided
        convolution, that with a subsampled shortcut around it, or not at all.
    biases : bool
        Give neurons biases.
    attention_weight, attention_threshold : int
        Weight of the token sum and threshold of the neurons that read it.
    dilation_heads : int
        Heads of the spike dilations in the attention; 0 for none.
    """
    maker = GraphMaker(rng, biases=biases)
    frame = maker.input(image, low, high)
    stream = _patch_splitting(maker, frame, channels, downsampling)
    for index in range(blocks):
        block = f"block.{index}"
        stream = _sdsa(
            maker, f"{block}.attn", stream, attention_weight, attention_threshold, dilation_heads
        )
        stream = _mlp(maker, f"{block}.mlp", stream, mlp_ratio * channels)
    tokens = prod(maker.shape[stream][1:])
    # Tokens may all have the same sign.
    most = 6 * tokens * sqrt(maker.power[stream])
    shift = int(rng.integers(0, 3)) + max(0, int(np.ceil(np.log2(most / ACTIVATION_LIMIT))))
    power = maker.power[stream] * tokens / 4**shift
    mean = maker.add(TokenMean(name="head.mean", inputs=(stream,), shift=shift), power)
    spikes = maker.lif("head.lif", mean, block="head")
    bias = rng.integers(-5000, 5001, classes) if biases else None
    weight = maker.weights(classes, channels)
    readout = Readout(
        name="head.fc",
        inputs=(spikes,),
        block="head",
        weight=weight,
        bias=bias,
        scale=63.5,
        exponent=rng.integers(0, 2, classes),
    )
    maker.add(readout)
    return maker.graph(timesteps, source="random_sdt_graph")


def _patch_splitting(maker: GraphMaker, frame: str, channels: int, downsampling: str) -> str:
    name = "patch"
    strided = downsampling in ("stride", "subsample")
    # Sums of large inputs may be shifted to the right.
    exponent = maker.rng.choice([-2, 0], channels)
    fields = {"padding": (1, 1), "block": name, "exponent": exponent}
    first = maker.conv(f"{name}.conv0", frame, channels, **fields)
    spikes = maker.lif(f"{name}.lif0", first, block=name)
    window = {"kernel": 3, "stride": 2, "padding": 1, "block": name}
    if downsampling == "or":
        spikes = maker.add(OrPool(name=f"{name}.pool", inputs=(spikes,), **window))
    stride = (2, 2) if strided else (1, 1)
    fields = {"padding": (1, 1), "stride": stride, "block": name}
    stream = maker.conv(f"{name}.conv1", spikes, channels, **fields)
    if downsampling == "max":
        pool = MaxPool(name=f"{name}.pool", inputs=(stream,), **window)
        stream = maker.add(pool, maker.power[stream])
    if downsampling == "subsample":
        kept = maker.add(
            Subsample(name=f"{name}.keep", inputs=(first,), stride=2), maker.power[first]
        )
        stream = maker.shortcut(f"{name}.sum", kept, stream, block=name)
    spikes = maker.lif(f"{name}.rpe_lif", stream, block=name)
    rpe = maker.conv(f"{name}.rpe_conv", spikes, channels, padding=(1, 1), block=name)
    return maker.shortcut(f"{name}.shortcut", stream, rpe, block=name)


def _sdsa(
    maker: GraphMaker, name: str, stream: str, weight: int, threshold: int, heads: int
) -> str:
    channels = maker.shape[stream][0]
    spikes = maker.lif(f"{name}.lif", stream, block=name)
    q, k, v = (
        maker.lif(
            f"{name}.{part}_lif",
            maker.pointwise(f"{name}.{part}_conv", spikes, channels, block=name),
            block=name,
        )
        for part in "qkv"
    )
    if heads:
        window = {"kernel": 3, "stride": 1, "padding": 1, "block": name}
        k, v = (
            maker.add(OrPool(name=f"{part}_dilate", inputs=(part,), **window)) for part in (k, v)
        )
    kv = maker.add(And(name=f"{name}.kv", inputs=(k, v), block=name))
    kv = _dilate(maker, kv, heads)
    total = maker.add(TokenSum(name=f"{name}.sum", inputs=(kv,), weight=weight, block=name))
    talk = maker.lif(f"{name}.attn_lif", total, threshold=threshold, bias=None, block=name)
    masked = maker.add(And(name=f"{name}.mask", inputs=(q, talk), block=name))
    masked = _dilate(maker, masked, heads)
    branch = maker.pointwise(f"{name}.proj_conv", masked, channels, block=name)
    return maker.shortcut(f"{name}.shortcut", stream, branch, block=name)


def _dilate(maker: GraphMaker, source: str, heads: int) -> str:
    if not heads:
        return source
    block = source.rpartition(".")[0]
    return maker.add(
        TokenDilate(name=f"{source}_dilate", inputs=(source,), heads=heads, block=block)
    )


def _mlp(maker: GraphMaker, name: str, stream: str, hidden: int) -> str:
    channels = maker.shape[stream][0]
    spikes = maker.lif(f"{name}.fc1_lif", stream, block=name)
    spikes = maker.pointwise(f"{name}.fc1_conv", spikes, hidden, block=name)
    spikes = maker.lif(f"{name}.fc2_lif", spikes, block=name)
    exponent = maker.rng.choice([0, 2], channels)
    branch = maker.pointwise(f"{name}.fc2_conv", spikes, channels, block=name, exponent=exponent)
    return maker.shortcut(f"{name}.shortcut", stream, branch, block=name)


def random_frames(rng: np.random.Generator, graph: Graph, batch: int = 2) -> np.ndarray:
    """Return integer input frames ``(T, B, *shape)`` over the whole range of the input node."""
    low, high = graph.input.low, graph.input.high
    size = (graph.timesteps, batch, *graph.input_shape)
    return rng.integers(low, high, size, endpoint=True, dtype=np.int64)


def assert_same_graph(first: Graph, second: Graph) -> None:
    """Compare two graphs node by node, field by field."""
    assert first.timesteps == second.timesteps
    assert dict(first.metadata) == dict(second.metadata)
    assert first.order == second.order
    for name in first.order:
        left, right = first.nodes[name], second.nodes[name]
        assert type(left) is type(right), name
        assert vars(left).keys() == vars(right).keys(), name
        for key, value in vars(left).items():
            other = getattr(right, key)
            if isinstance(value, np.ndarray):
                assert isinstance(other, np.ndarray) and np.array_equal(value, other), (name, key)
                assert value.shape == other.shape, (name, key)
            else:
                assert value == other and type(value) is type(other), (name, key, value, other)
