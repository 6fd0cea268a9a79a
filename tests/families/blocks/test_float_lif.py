"""The authors' neuron in float32."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sdt_lava.errors import ConfigError
from sdt_lava.families import load_model, save_checkpoint
from sdt_lava.families.blocks.neurons import FloatLif, Lif
from sdt_lava.model import SdtConfig
from tests.families.sdt1.networks import TINY, lively_network, random_input, tiny_config


def by_formula(x, v_th):
    """Return the spikes of ``(..., T)`` currents in float32, operation by operation."""
    v, spikes = np.zeros(x.shape[:-1], np.float32), np.zeros_like(x)
    for step in range(x.shape[-1]):
        h = v + (x[..., step] - v) / np.float32(2)
        spikes[..., step] = h >= v_th
        v = np.where(h >= v_th, np.float32(0), h)
    return spikes


@pytest.mark.parametrize("v_th", [0.5, 1.0, 1.37])
@pytest.mark.parametrize("steps", [1, 2, 9])
@pytest.mark.parametrize("size", [0.1, 3.0, 1e4])
def test_bit_for_bit(v_th, steps, size):
    x = torch.randn((4, 5, 3, 2, steps), generator=torch.Generator().manual_seed(1)) * size
    spikes = FloatLif(v_th)(x)
    assert spikes.dtype == torch.float32
    assert np.array_equal(spikes.numpy(), by_formula(x.numpy(), np.float32(v_th)))


def test_it_fires_at_its_threshold():
    lif = FloatLif(1.0)
    just_below = np.nextafter(np.float32(2), np.float32(0))
    assert lif(torch.tensor([[[2.0, 2.0, 0.0]]])).flatten().tolist() == [1, 1, 0]
    assert lif(torch.tensor([[[float(just_below)]]])).item() == 0


def test_small_currents_are_not_cut_off():
    """SLAYER truncates each current to 1/4096; a published network was not trained with that."""
    x = torch.full((1, 1, 14), 1.0 + 1 / 8192)
    assert FloatLif(1.0)(x).sum() == 1
    assert Lif(1.0)(x).sum() == 0


def test_gradients_are_those_of_the_other_neuron():
    x = torch.randn((3, 4, 6), generator=torch.Generator().manual_seed(0))
    # Multiples of 1/64 are exact for SLAYER, and odd multiples of 1/128 avoid its threshold.
    x = (x * 64).round() / 64 + 1 / 128
    gradients = []
    for neuron in (FloatLif(1.0), Lif(1.0)):
        current = x.clone().requires_grad_()
        (neuron(current) * torch.arange(6.0)).sum().backward()
        gradients.append(current.grad)
    torch.testing.assert_close(*gradients, rtol=2e-3, atol=1e-5)
    assert gradients[0].abs().min() > 0


def test_nothing_is_remembered_and_inputs_stay_as_they_are():
    lif, x = FloatLif(1.0), torch.rand(2, 3, 5) * 3
    before = x.clone()
    first = lif(x)
    lif(torch.rand(4, 7, 2))
    assert torch.equal(first, lif(x)) and torch.equal(x, before)
    assert not lif.state_dict()


def test_every_weight_learns():
    model = lively_network(tiny_config(neuron="lif", downsampling="max")).train()
    model(random_input((4, 2, 8, 8))).square().sum().backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name


def test_configuration(tmp_path):
    config = tiny_config(neuron="lif")
    assert SdtConfig.from_dict(config.to_dict()) == config
    assert SdtConfig.from_dict(TINY).neuron == "cuba"
    for wrong in ("plif", "", 3, None):
        with pytest.raises(ConfigError, match=r"config\.neuron"):
            tiny_config(neuron=wrong)
    save_checkpoint(tmp_path / "model.pt", lively_network(config))
    assert load_model(tmp_path / "model.pt").config == config
    # Files from before the field existed.
    content = torch.load(tmp_path / "model.pt", weights_only=True)
    del content["config"]["neuron"]
    torch.save(content, tmp_path / "old.pt")
    assert load_model(tmp_path / "old.pt").config.neuron == "cuba"
