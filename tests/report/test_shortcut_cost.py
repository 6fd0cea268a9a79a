"""Membrane against SEW shortcuts: what synapses read, and what may be exported."""

import numpy as np
import pytest
import torch

import sdt_lava
from sdt_lava.errors import ConfigError
from sdt_lava.families.sdt1.config import SdtConfig
from sdt_lava.model import SpikeDrivenTransformer
from sdt_lava.report.energy_model import load_energy_model
from sdt_lava.report.shortcut_cost import count_shortcut_cost


def model_of(shortcut, **changes):
    settings = {
        "image_size": (9, 6),
        "in_channels": 2,
        "num_classes": 3,
        "dim": 8,
        "depth": 2,
        "timesteps": 3,
        "num_heads": 2,
        "pooling_stat": "0100",
        "neuron": "lif",
        "shortcut": shortcut,
    }
    torch.manual_seed(0)
    model = SpikeDrivenTransformer(SdtConfig(**(settings | changes))).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "_bn" in name:
                parameter.add_(1.5)
    return model


def read_values(model, x):
    """Record what every convolution but the first reads, by brute force."""
    values = []
    layers = [m for m in model.modules() if isinstance(m, (torch.nn.Conv3d, torch.nn.Linear))]
    hooks = [
        layer.register_forward_pre_hook(
            lambda module, inputs: values.append((module, inputs[0].numpy().copy()))
        )
        for layer in layers[1:]
    ]
    with torch.no_grad():
        model(torch.from_numpy(x))
    for hook in hooks:
        hook.remove()
    return values


def taps(module, shape):
    """Count the outputs that each input position reaches, by asking the layer for gradients."""
    probe = torch.zeros(1, *shape[1:], requires_grad=True)
    ones = torch.ones_like(module.weight)
    if isinstance(module, torch.nn.Linear):
        out = torch.nn.functional.linear(probe, ones)
    else:
        out = torch.nn.functional.conv3d(probe, ones, None, module.stride, module.padding)
    out.sum().backward()
    return probe.grad.numpy()


@pytest.mark.parametrize("shortcut", ["membrane", "sew"])
@pytest.mark.parametrize("batch_size", [1, 64])
def test_counts_equal_brute_force(shortcut, batch_size):
    model = model_of(shortcut)
    x = np.random.default_rng(0).normal(size=(3, 2, 9, 6)).astype(np.float32)
    cost = count_shortcut_cost(model, x, batch_size)
    events = multi = accumulates = multiplies = repeated = 0
    for module, value in read_values(model, x):
        fan_out = taps(module, value.shape)
        events += np.count_nonzero(value)
        multi += np.count_nonzero(value > 1)
        accumulates += int(((value == 1) * fan_out).sum())
        multiplies += int(((value > 1) * fan_out).sum())
        repeated += int((value * fan_out).sum())
    assert (cost.events, cost.multi_bit) == (events, multi)
    assert (cost.accumulates, cost.multiplies) == (accumulates, multiplies)
    assert cost.repeated == repeated
    assert cost.synops == accumulates + multiplies > 0


def test_only_sew_sends_more_than_one():
    x = np.random.default_rng(1).normal(size=(4, 2, 9, 6)).astype(np.float32)
    membrane = count_shortcut_cost(model_of("membrane"), x)
    sew = count_shortcut_cost(model_of("sew"), x)
    assert (membrane.multi_bit, membrane.largest, membrane.multiplies) == (0, 1, 0)
    assert sew.largest > 1
    assert 0 < sew.multi_bit_share < 1


def test_energy():
    cost = count_shortcut_cost(model_of("sew"), np.ones((2, 2, 9, 6), np.float32))
    model = load_energy_model("horowitz45-fp32")
    expected = (0.9 * cost.accumulates + 4.6 * cost.multiplies) / 2 / 1e3
    assert cost.energy_nj(model) == pytest.approx(expected)
    assert cost.repeated_energy_nj(model) == pytest.approx(0.9 * cost.repeated / 2 / 1e3)


def test_same_parameters():
    shapes = [
        {name: tuple(value.shape) for name, value in model_of(kind).state_dict().items()}
        for kind in ("membrane", "sew")
    ]
    assert shapes[0] == shapes[1]


def test_sew_is_not_exported(tmp_path):
    with pytest.raises(ConfigError, match="sums of spikes"):
        sdt_lava.export(model_of("sew"), tmp_path / "net.h5")
    assert not list(tmp_path.iterdir())


def test_sew_survives_a_checkpoint(tmp_path):
    sdt_lava.save_checkpoint(tmp_path / "model.pt", model_of("sew"))
    assert sdt_lava.load_model(tmp_path / "model.pt").config.shortcut == "sew"


def test_unknown_shortcut():
    with pytest.raises(ConfigError, match="membrane"):
        model_of("residual")
