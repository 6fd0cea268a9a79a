"""The paper's accounting, against its numbers and against the model itself."""

from dataclasses import replace

import pytest
import torch

from sdt_lava.families.formula import layer_rates, total_parameters, vanilla_attention
from sdt_lava.families.sdt1.config import SdtConfig
from sdt_lava.families.sdt1.formula import formula_layers
from sdt_lava.families.sdt1.presets import PRESETS
from sdt_lava.model import SpikeDrivenTransformer


def official(name):
    return replace(PRESETS[name], downsampling="max")


# Parameters [M] as published, and multiply-accumulates [G] of an image at T = 4 as counted on
# the authors' code.
@pytest.mark.parametrize(
    ("name", "parameters", "gmac"),
    [
        ("8-384", 16.81, 18.643),
        ("6-512", 23.37, None),
        ("8-512", 29.68, 33.027),
        ("10-512", 36.01, None),
        ("8-768", 66.34, None),
        ("cifar-2-512", 10.23, 4.940),
        ("cifar-2-256", 2.57, 1.237),
    ],
)
def test_published_sizes(name, parameters, gmac):
    layers = formula_layers(official(name))
    assert total_parameters(layers) / 1e6 == pytest.approx(parameters, abs=0.011)
    if gmac is not None:
        assert 4 * sum(layer.flops for layer in layers) / 1e9 == pytest.approx(gmac, abs=0.004)


@pytest.mark.parametrize("downsampling", ["stride", "or", "max"])
@pytest.mark.parametrize("pooling_stat", ["0101", "1110", "0000"])
def test_equals_what_the_model_computes(downsampling, pooling_stat):
    config = SdtConfig(
        image_size=(16, 24),
        in_channels=3,
        num_classes=5,
        dim=16,
        depth=2,
        timesteps=1,
        num_heads=2,
        mlp_ratio=3.0,
        pooling_stat=pooling_stat,
        downsampling=downsampling,
        neuron="lif",
    )
    model = SpikeDrivenTransformer(config).eval()
    computed = {}

    def count(name):
        def hook(module, inputs, output):
            weights = module.weight[0].numel() if module.weight.ndim > 2 else module.in_features
            computed[name] = weights * output.numel()

        return hook

    for name, module in model.named_modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Conv3d, torch.nn.Linear)):
            module.register_forward_hook(count(name))
    with torch.no_grad():
        model(torch.rand(1, 3, 16, 24))
    layers = formula_layers(config)
    assert {row.name: row.flops for row in layers if row.kind != "sdsa"} == computed
    # Convolutions before a BatchNorm have a bias in the authors' code and none here.
    absorbed = config.depth * (2 * config.dim + config.hidden_dim)
    trained = sum(value.numel() for value in model.parameters())
    assert total_parameters(layers) == trained + absorbed


def test_rates_by_layer_and_by_population():
    layers = formula_layers(official("8-384"))
    rates = {"patch_embed.proj_lif": 0.1, "patch_embed.proj_conv1": 0.3}
    rates |= {"block.0.attn.k_lif": 0.02, "block.0.attn.v_lif": 0.05}
    found = layer_rates(layers, rates)
    assert found["patch_embed.proj_conv"] == 1.0
    assert found["patch_embed.proj_conv1"] == 0.3
    assert found["block.0.attn.sdsa"] == pytest.approx(0.07)
    assert found["block.1.attn.sdsa"] is None


def test_vanilla_attention():
    cost = vanilla_attention(196, 768)
    assert cost.qkv == 3 * 196 * 768 * 768
    assert cost.operator == 2 * 196 * 196 * 768
    assert cost.total == cost.qkv + cost.operator + 3 * 196 * 196
