"""The LIF against SLAYER's own CUBA neuron."""

from __future__ import annotations

import pytest
import torch

from sdt_lava.model._slayer import slayer
from sdt_lava.model.neurons import Lif


def both(seed, steps, size, threshold=1.0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn((6, 5, 4, 3, steps), generator=generator) * size
    ours = Lif(threshold)
    slayers = slayer.neuron.cuba.Neuron(
        threshold=2 * threshold,
        current_decay=1.0,
        voltage_decay=0.5,
        tau_grad=0.005,
        scale_grad=10.0,
        scale=64,
    )
    return x, ours, slayers


# The last size leaves the range in which float32 is exact.
@pytest.mark.parametrize("size", [0.01, 1.0, 30.0, 1000.0, 1e5])
@pytest.mark.parametrize("steps", [1, 2, 9])
@pytest.mark.parametrize("threshold", [0.5, 1.0, 1.37])
def test_same_spikes_and_voltages_as_slayer(size, steps, threshold):
    x, ours, slayers = both(3, steps, size, threshold)
    assert torch.equal(ours(x), slayers(x))
    assert torch.equal(ours.dynamics(x)[1], slayers.dynamics(x)[1])


def test_same_voltages_on_the_grid_and_at_the_threshold():
    generator = torch.Generator().manual_seed(1)
    x = torch.randint(-3, 4, (50, 8, 12), generator=generator).float()
    _, ours, slayers = both(0, 1, 1.0)
    assert torch.equal(ours(x), slayers(x))


@pytest.mark.parametrize("size", [1.0, 4.0])
def test_same_gradient_as_slayer(size):
    x, ours, slayers = both(7, 6, size)
    weight = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    gradients = []
    for neuron in (ours, slayers):
        leaf = x.clone().requires_grad_()
        (neuron(leaf) * weight).sum().backward()
        gradients.append(leaf.grad)
    assert gradients[1].abs().max() > 0
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-7)


def test_the_neuron_has_no_state_to_save():
    assert not Lif(1.0).state_dict()


def test_nan_takes_slayers_path_and_does_not_hang():
    assert Lif(1.0)(torch.full((1, 2, 3), float("nan"))).shape == (1, 2, 3)
