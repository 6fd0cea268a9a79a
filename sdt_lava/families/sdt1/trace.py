"""From a trained model to the float graph, with batch normalisation folded."""

from __future__ import annotations

from typing import Any

import torch

from sdt_lava.errors import ConfigError
from sdt_lava.families.sdt1.transformer import SpikeDrivenTransformer
from sdt_lava.importers.fold import BatchNorm, FloatArray, fold_batch_norm
from sdt_lava.ir import (
    And,
    Conv,
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

_STAGE_SUFFIXES = ("", "1", "2", "3")


def trace(model: SpikeDrivenTransformer) -> Graph:
    """Write a model down as a float graph.

    Parameters
    ----------
    model : SpikeDrivenTransformer
        Trained model; evaluation statistics of its batch normalisations are folded.

    Returns
    -------
    Graph
        Nodes named as the model's modules; weights in float64, biases on the synapses.

    Raises
    ------
    ConfigError
        If the model adds spikes instead of membrane potentials.
    """
    if model.config.shortcut != "membrane":
        raise ConfigError(
            "config.shortcut",
            f"{model.config.shortcut!r}: sums of spikes, with values 0, 1, 2 and more",
            "'membrane': what is exported sends binary spikes only",
            "train the network with membrane shortcuts",
        )
    tracer = _Tracer(model)
    stream = tracer.patch_splitting()
    for index in range(model.config.depth):
        stream = tracer.attention(f"block.{index}.attn", stream)
        stream = tracer.mlp(f"block.{index}.mlp", stream)
    tracer.head(stream)
    return Graph.build(tracer.nodes, model.config.timesteps, {"config": model.config.to_dict()})


def _array(tensor: torch.Tensor) -> FloatArray:
    return tensor.detach().cpu().double().numpy()


class _Tracer:
    def __init__(self, model: SpikeDrivenTransformer) -> None:
        self.model = model
        self.config = model.config
        self.nodes: list[Node] = []

    def add(self, node: Node) -> str:
        self.nodes.append(node)
        return node.name

    def conv(self, block: str, conv: str, norm: str, source: str) -> str:
        synapse = self.model.get_submodule(f"{block}.{conv}")
        weight, bias = fold_batch_norm(
            # Kernels have a trailing time axis of one.
            _array(synapse.weight)[..., 0],
            None,
            _batch_norm(self.model.get_submodule(f"{block}.{norm}")),
        )
        return self.add(
            Conv(
                name=f"{block}.{conv}",
                inputs=(source,),
                block=block,
                weight=weight,
                bias=bias,
                stride=_pair(synapse.stride),
                padding=_pair(synapse.padding),
            )
        )

    def lif(self, name: str, block: str, source: str, threshold: float) -> str:
        voltage_decay, current_decay = self.model.get_submodule(name).decays
        return self.add(
            Lif(
                name=name,
                inputs=(source,),
                block=block,
                threshold=2 * threshold,
                voltage_decay=voltage_decay,
                current_decay=current_decay,
            )
        )

    def neurons(self, block: str, name: str, source: str) -> str:
        return self.lif(f"{block}.{name}", block, source, self.config.threshold)

    def patch_splitting(self) -> str:
        block = "patch_embed"
        config = self.config
        source = self.add(
            Input(
                name="input",
                shape=(config.in_channels, *config.image_size),
                scale=config.input_scale,
                low=config.input_range[0],
                high=config.input_range[1],
            )
        )
        for stage, suffix in enumerate(_STAGE_SUFFIXES[:3]):
            current = self.conv(block, f"proj_conv{suffix}", f"proj_bn{suffix}", source)
            source = self.neurons(block, f"proj_lif{suffix}", current)
            if self.pools(stage):
                source = self.or_pool(f"maxpool{suffix}", source)
        return self.positional(block, self.conv(block, "proj_conv3", "proj_bn3", source))

    def pools(self, stage: int) -> bool:
        return self.config.pooling_stat[stage] == "1" and self.config.downsampling != "stride"

    def or_pool(self, name: str, source: str) -> str:
        pooled = OrPool(name=f"patch_embed.{name}", inputs=(source,), block="patch_embed")
        return self.add(pooled)

    def positional(self, block: str, current: str) -> str:
        pools = self.pools(3)
        if pools and self.config.downsampling == "max":
            name = f"{block}.maxpool3"
            current = self.add(MaxPool(name=name, inputs=(current,), block=block))
        spikes = self.neurons(block, "proj_lif3", current)
        if pools and self.config.downsampling == "or":
            spikes = self.or_pool("maxpool3", spikes)
            name = f"{block}.subsample3"
            current = self.add(Subsample(name=name, inputs=(current,), block=block))
        branch = self.conv(block, "rpe_conv", "rpe_bn", spikes)
        return self.shortcut(block, current, branch)

    def shortcut(self, block: str, stream: str, branch: str, name: str = "shortcut") -> str:
        return self.add(Shortcut(name=f"{block}.{name}", inputs=(stream, branch), block=block))

    def attention(self, block: str, stream: str) -> str:
        events = self.neurons(block, "shortcut_lif", stream)
        query, key, value = (
            self.neurons(
                block, f"{name}_lif", self.conv(block, f"{name}_conv", f"{name}_bn", events)
            )
            for name in "qkv"
        )
        if self.config.dvs_mode:
            key, value = (self.dilate_image(block, name) for name in "kv")
        both = self.add(And(name=f"{block}.kv", inputs=(key, value), block=block))
        both = self.dilate_tokens(block, both)
        count = self.add(TokenSum(name=f"{block}.token_sum", inputs=(both,), block=block))
        gate = self.lif(f"{block}.talking_heads_lif", block, count, self.config.attention_threshold)
        masked = self.add(And(name=f"{block}.mask", inputs=(query, gate), block=block))
        masked = self.dilate_tokens(block, masked)
        return self.shortcut(block, stream, self.conv(block, "proj_conv", "proj_bn", masked))

    def dilate_image(self, block: str, branch: str) -> str:
        pooled = OrPool(
            name=f"{block}.{branch}_dilate",
            inputs=(f"{block}.{branch}_lif",),
            block=block,
            kernel=3,
            stride=1,
            padding=1,
        )
        return self.add(pooled)

    def dilate_tokens(self, block: str, source: str) -> str:
        if not self.config.dvs_mode:
            return source
        heads = self.config.num_heads
        dilate = TokenDilate(name=f"{source}_dilate", inputs=(source,), block=block, heads=heads)
        return self.add(dilate)

    def mlp(self, block: str, stream: str) -> str:
        hidden = self.conv(block, "fc1_conv", "fc1_bn", self.neurons(block, "fc1_lif", stream))
        if self.config.hidden_dim == self.config.dim:
            # At ratio 1 the official code adds a shortcut inside the MLP, and the outer one
            # starts from that sum.
            stream = hidden = self.shortcut(block, stream, hidden, "inner_shortcut")
        spikes = self.neurons(block, "fc2_lif", hidden)
        return self.shortcut(block, stream, self.conv(block, "fc2_conv", "fc2_bn", spikes))

    def head(self, stream: str) -> None:
        mean = self.add(TokenMean(name="head.token_mean", inputs=(stream,), block="head"))
        spikes = self.lif("head_lif", "head", mean, self.config.threshold)
        head = self.model.head
        self.add(
            Readout(
                name="head",
                inputs=(spikes,),
                block="head",
                weight=_array(head.weight),
                bias=_array(head.bias),
            )
        )


def _pair(values: tuple[int, ...]) -> tuple[int, int]:
    return int(values[0]), int(values[1])


def _batch_norm(module: Any) -> BatchNorm:
    return BatchNorm(
        gamma=_array(module.weight),
        beta=_array(module.bias),
        mean=_array(module.running_mean),
        variance=_array(module.running_var),
        epsilon=float(module.eps),
    )
