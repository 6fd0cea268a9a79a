"""Folding keeps the function; fine-tuning trains what is exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import sdt_lava
from sdt_lava.datasets import Dataset, load_digits_split
from sdt_lava.errors import ConfigError
from sdt_lava.families import load_model
from sdt_lava.importers import trace
from sdt_lava.ir import Conv
from sdt_lava.model import TrainingOptions, accuracy
from sdt_lava.quantize.post_training import CalibrationData
from sdt_lava.training.fine_tune import (
    FoldedNorm,
    RoundedWeights,
    _Average,
    _Rounding,
    convert_pooling,
    fine_tune,
    fold_model,
)
from tests.families.sdt1.networks import lively_network, random_input, tiny_config

# Made by `sdt-lava train --preset digits --seed 0`.
DIGITS_MODEL = Path(__file__).parents[1] / "data" / "digits" / "model.pt"
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
    rounding.apply()
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
    test, loaded = digits("test", 120), load_model(path)
    assert accuracy(loaded, test.x, test.y) == accuracy(tuned, test.x, test.y)
    assert accuracy(loaded, test.x, test.y) == result.test_accuracy
    net, report = sdt_lava.to_network(loaded, 4)
    # The weights of the file lie on a grid, and the exporter finds it.
    assert max(row.rounding_error for row in report.synapses) < 0.01
    for row in report.synapses:
        layer = loaded.get_submodule(row.name).weight.detach().numpy()
        assert len(np.unique(layer)) <= 15, row.name
    exported = sdt_lava.simulate(net, test.x)
    # Biases and input are rounded as well in the export, so a few predictions may differ.
    assert abs(float(np.mean(exported.labels == test.y)) - result.test_accuracy) < 0.06


def test_the_result_is_an_average_of_the_weights():
    model = lively_network(tiny_config())
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    average = _Average(model)
    for value in (1.0, 2.0, 3.0, 4.0):
        with torch.no_grad():
            for weight in weights:
                weight.fill_(value)
        average.update(window=2)
    average.take()
    # 1, then (1 + 2) / 2 = 1.5, then (1.5 + 3) / 2 = 2.25, then (2.25 + 4) / 2.
    assert all(torch.allclose(weight, torch.tensor(3.125)) for weight in weights)


@pytest.mark.slow
def test_accuracy_of_the_digits_network():
    """Seed 0 of `sdt-lava train`: what the issue of quantization promises."""
    model = load_model(DIGITS_MODEL)
    train, test = load_digits_split("train"), load_digits_split("test")
    reference = accuracy(model, test.x, test.y)
    assert reference > 0.97
    calibration = CalibrationData(train.x[:64], "digits")
    for data in (None, calibration):
        net, _ = sdt_lava.to_network(model, 8, data)
        assert accuracy_of(net, test) >= reference - 0.005
    tuned, result = fine_tune(model, train, test, 4)
    net, _ = sdt_lava.to_network(tuned, 4)
    assert accuracy_of(net, test) >= reference - 0.015
    assert result.test_accuracy >= reference - 0.015


def accuracy_of(net, data):
    return float(np.mean(sdt_lava.simulate(net, data.x).labels == data.y))


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
