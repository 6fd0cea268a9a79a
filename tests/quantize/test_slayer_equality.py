"""The integer graph against SLAYER itself, run with the integer weights.

SLAYER's CUBA neuron at ``scale=1`` keeps its state in the hardware's units, so that a SLAYER model
with the quantized weights, thresholds and biases must spike exactly like the integer graph. The
head is left out: SLAYER has no integer token mean.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lava.lib.dl import slayer
from torch import Tensor, nn

import sdt_lava
from sdt_lava.ir import Graph, Lif, Synapse
from sdt_lava.ir.numerics import BIAS_EXPONENT
from tests.families.sdt1.networks import lively_network, tiny_config

pytestmark = pytest.mark.lava

# From this threshold on SLAYER's float32 comparison is no longer strict (its epsilon is lost).
SLAYER_THRESHOLD_LIMIT = 4096


class AddBias(nn.Module):
    """Stands where the batch normalisation was."""

    def __init__(self, bias: np.ndarray) -> None:
        super().__init__()
        self.bias = torch.from_numpy(bias).float()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias.reshape(-1, *([1] * (x.ndim - 2)))


def integer_bias(graph: Graph, name: str) -> np.ndarray:
    lif = graph.nodes[name]
    assert isinstance(lif, Lif)
    if lif.bias is None:
        return np.zeros(graph.shapes[name][0])
    return lif.bias * 2.0 ** (lif.bias_exponent - BIAS_EXPONENT)


def branch_biases(graph: Graph, depth: int) -> dict[str, np.ndarray]:
    """Take the running sums of a residual stream apart into the share of each branch."""
    stream = [("patch_embed.proj_bn3", "patch_embed.proj_lif3")]
    branch = "patch_embed.rpe_bn"
    for index in range(depth):
        stream.append((branch, f"block.{index}.attn.shortcut_lif"))
        stream.append((f"block.{index}.attn.proj_bn", f"block.{index}.mlp.fc1_lif"))
        branch = f"block.{index}.mlp.fc2_bn"
    biases, before = {branch: np.zeros(graph.shapes["head_lif"][0])}, 0.0
    for norm, lif in stream:
        running = integer_bias(graph, lif)
        biases[norm], before = running - before, running
    for suffix in ("", "1", "2"):
        lif = f"patch_embed.proj_lif{suffix}"
        biases[f"patch_embed.proj_bn{suffix}"] = integer_bias(graph, lif)
    for index in range(depth):
        for name in "qkv":
            lif = f"block.{index}.attn.{name}_lif"
            biases[f"block.{index}.attn.{name}_bn"] = integer_bias(graph, lif)
        lif = f"block.{index}.mlp.fc2_lif"
        biases[f"block.{index}.mlp.fc1_bn"] = integer_bias(graph, lif)
    return biases


def replace_module(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(parent), attribute, module)


def make_integer(model: nn.Module, graph: Graph, depth: int) -> None:
    """Give a model the integer weights, biases and thresholds, and stock SLAYER neurons."""
    for node in graph.of_type(Synapse):
        if node.kind == "conv":
            weight = torch.from_numpy(node.weight * 2.0**node.exponent).float()
            model.get_submodule(node.name).weight.data = weight[..., None]
    for name, bias in branch_biases(graph, depth).items():
        replace_module(model, name, AddBias(bias))
    for name in graph.lif_names:
        threshold = graph.nodes[name].threshold
        assert name == "head_lif" or threshold < SLAYER_THRESHOLD_LIMIT
        # The graph counts tokens with weight 2, the model with 1.
        unit = 2 if name.endswith("talking_heads_lif") else 1
        neuron = slayer.neuron.cuba.Neuron(
            threshold=threshold / unit, current_decay=1, voltage_decay=0.5, scale=unit
        )
        replace_module(model, name, neuron)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"downsampling": "or", "pooling_stat": "1010"},
        {"downsampling": "max", "pooling_stat": "0100", "image_size": (6, 8)},
        {"image_size": (5, 7), "timesteps": 1, "pooling_stat": "0000", "depth": 1},
        {"image_size": (2, 2), "pooling_stat": "0100", "dim": 8, "num_heads": 1},
    ],
    ids=lambda changes: ", ".join(map(str, changes.values())) or "plain",
)
def test_quantized_slayer_model_spikes_like_the_integer_graph(changes, seed):
    config = tiny_config(input_scale=4.0, input_range=(0, 12), threshold=0.5, **changes)
    model = lively_network(config, seed)
    graph, _ = sdt_lava.to_network(model)
    make_integer(model, graph, config.depth)
    integers = np.random.default_rng(seed).integers(
        0, 13, (3, config.timesteps, config.in_channels, *config.image_size)
    )
    expected = sdt_lava.simulate(graph, integers / 4.0, "reference").spikes
    found: dict[str, Tensor] = {}
    with torch.no_grad():
        model(torch.from_numpy(integers).float(), record=found)
    hidden = [name for name in graph.lif_names if name != "head_lif"]
    for name in hidden:
        assert np.array_equal(found[name].numpy(), expected[name]), name
    assert all(expected[name].any() for name in hidden if "talking" not in name)
