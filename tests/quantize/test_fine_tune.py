"""Folding keeps the function; fine-tuning trains what is exported."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import sdt_lava
from sdt_lava.checkpoint import load_model
from sdt_lava.datasets import Dataset, load_digits_split
from sdt_lava.errors import ConfigError
from sdt_lava.graph import Conv
from sdt_lava.model import TrainingOptions, accuracy
from sdt_lava.model.trace import trace
from sdt_lava.quantize.fine_tune import (
    FoldedNorm,
    RoundedWeights,
    _Rounding,
    convert_pooling,
    fine_tune,
    fold_model,
)
from tests.model.networks import lively_network, random_input, tiny_config

DIGITS = {
    "image_size": (8, 8), "in_channels": 1, "num_classes": 10, "dim": 16, "depth": 1,
    "timesteps": 2, "pooling_stat": "0100", "input_scale": 16.0, "input_range": (0, 16),
}  # fmt: skip
OPTIONS = TrainingOptions(epochs=2, learning_rate=2e-3, batch_size=32)


def digits(part, count):
    data = load_digits_split(part)
    return Dataset(data.name, data.x[:count], data.y[:count], data.num_classes)


def test_a_folded_model_computes_the_same():
    model = lively_network(tiny_config())
    folded = fold_model(model)
    x = random_input((4, 2, 8, 8))
    before, after = {}, {}
    with torch.no_grad():
        assert torch.allclose(model(x, record=before), folded(x, record=after), atol=0.2)
    changed = sum(int((before[name] != after[name]).sum()) for name in before)
    assert changed <= 3  # float rounding may move a membrane across its threshold
    assert folded.state_dict().keys() == model.state_dict().keys()


def test_folded_norms_stay_folded_in_training():
    folded = fold_model(lively_network(tiny_config())).train()
    norms = [module for module in folded.modules() if isinstance(module, FoldedNorm)]
    assert len(norms) == len(trace(folded).of_type(Conv))
    before = [norm.running_mean.clone() for norm in norms]
    folded(random_input((4, 2, 8, 8)))
    for norm, mean in zip(norms, before, strict=True):
        assert not norm.training and torch.equal(norm.running_mean, mean)
        assert torch.allclose(
            norm(torch.ones(1, norm.num_features, 1, 1, 1)).flatten() - 1, norm.bias
        )


@pytest.mark.parametrize("bits", [8, 4])
def test_rounding_is_the_exporters(bits):
    folded = fold_model(lively_network(tiny_config()))
    graph, _ = sdt_lava.to_network(folded, bits)
    rounding = _Rounding(folded, bits)
    for node in graph.of_type(Conv):
        layer = folded.get_submodule(node.name)
        rounded = rounding.of_layer[node.name](layer.weight.detach())[..., 0].numpy()
        integers = rounded / rounding.of_layer[node.name].unit
        step = 2 ** (9 - bits)
        assert np.abs(integers - node.weight / step).max() < 1e-2, node.name
    rounding.remove()
    assert folded.get_submodule("patch_embed.proj_conv").pre_hook_fx is None


def test_gradients_pass_through_the_rounding():
    weight = torch.tensor([0.12, -0.9, 0.55], requires_grad=True)
    rounded = RoundedWeights(unit=0.25, steps=3)(weight)
    assert torch.allclose(rounded, torch.tensor([0.0, -0.75, 0.5]))
    (rounded * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert weight.grad.tolist() == [1.0, 2.0, 3.0]


def test_fine_tuning_trains_what_is_exported(tmp_path):
    model = lively_network(tiny_config(**DIGITS))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    path = tmp_path / "tuned.pt"
    tuned, result = fine_tune(
        model, digits("train", 320), digits("test", 120), 4, OPTIONS, checkpoint_path=path
    )
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    assert result.history[-1].loss < result.history[0].loss
    test = digits("test", 120)
    exported = sdt_lava.simulate(sdt_lava.to_network(load_model(path), 4)[0], test.x)
    # Biases and input are rounded as well in the export, so a few predictions may differ.
    assert abs(float(np.mean(exported.labels == test.y)) - result.test_accuracy) < 0.06
    assert accuracy(load_model(path), test.x, test.y) == accuracy(tuned, test.x, test.y)


@pytest.mark.parametrize("pooling", ["or", "stride"])
def test_conversion_keeps_weights_and_removes_the_max_pool(pooling):
    config = tiny_config(downsampling="max", pooling_stat="0001")
    model = lively_network(config)
    converted = convert_pooling(model, pooling)
    assert converted.config.downsampling == pooling
    for name, value in model.state_dict().items():
        assert torch.equal(converted.state_dict()[name], value)
    kinds = {node.kind for node in trace(converted)}
    assert "max_pool" not in kinds and "max_pool" in {node.kind for node in trace(model)}
    with torch.no_grad():
        assert converted(random_input((2, 2, 8, 8))).shape == (2, 3)


def test_unknown_pooling():
    with pytest.raises(ConfigError, match="average"):
        convert_pooling(lively_network(tiny_config()), "average")
