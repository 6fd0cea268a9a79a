"""The neuron on the grid of 1/4096 against its equations, in int64 and float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sdt_lava.families.blocks.neurons import Lif

SHAPES = [(6, 5, 4, 3), (1, 1, 1, 1), (3, 7, 5, 9), (2, 5)]


def random_currents(shape, seed, size=1.0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * size


def by_formula(x, threshold):
    """Return levels and spikes of currents ``(B, ..., T)``; threshold in 1/64."""
    arriving = (x.astype(np.float64) * 4096).astype(np.int64)
    levels, fired = np.zeros_like(arriving), np.zeros(x.shape, bool)
    v = np.zeros(x.shape[:-1], np.int64)
    for step in range(x.shape[-1]):
        v = np.sign(v) * (np.abs(v) // 2) + arriving[..., step]
        levels[..., step], fired[..., step] = v, v > threshold * 64
        v = np.where(fired[..., step], 0, v)
    return levels, fired


def gradient_by_formula(levels, threshold, received):
    """Return the gradient of the currents for one that the spikes receive."""
    width = 0.5 * threshold / 64
    # The neuron fires above its threshold: a hundredth of a level stands for the difference.
    distance = np.abs(levels - threshold * 64 - 0.01) / 4096
    slopes = np.exp(-distance / width) / (2 * width)
    gradient, later = np.zeros(levels.shape), 0.0
    for step in reversed(range(levels.shape[-1])):
        later = 0.5 * later + slopes[..., step] * received[..., step]
        gradient[..., step] = later
    return gradient


# The last size leaves the range in which float32 is exact.
@pytest.mark.parametrize("size", [0.0, 0.01, 1.0, 30.0, 1000.0, 1e5])
@pytest.mark.parametrize("steps", [1, 2, 9])
@pytest.mark.parametrize("v_th", [0.5, 1.0, 1.37])
def test_spikes_voltages_and_gradients(size, steps, v_th):
    threshold = int(2 * v_th * 64)
    for seed, shape in enumerate(SHAPES):
        neuron, x = Lif(v_th), random_currents((*shape, steps), seed, size).requires_grad_()
        levels, fired = by_formula(x.detach().numpy(), threshold)
        spikes, received = neuron(x), random_currents(x.shape, 9)
        (spikes * received).sum().backward()
        assert spikes.dtype == x.dtype and np.array_equal(spikes.detach().numpy(), fired)
        assert np.array_equal(neuron.voltages(x).numpy() * 4096, levels.astype(np.float32))
        expected = gradient_by_formula(levels, threshold, received.numpy())
        np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_at_the_threshold_on_the_grid():
    x = torch.randint(-3, 4, (50, 8, 12), generator=torch.Generator().manual_seed(1)).float()
    assert np.array_equal(Lif(1.0)(x).numpy(), by_formula(x.numpy(), 128)[1])
    at_threshold = Lif(0.5, fires_at_threshold=True)
    assert np.array_equal(at_threshold(x).numpy(), by_formula(x.numpy(), 63)[1])
    one = torch.ones(1, 1, 1)
    assert at_threshold(one).item() == 1 and Lif(0.5)(one).item() == 0


def test_always_and_never():
    for value, expected in ((1e3, 1.0), (0.0, 0.0), (-1e3, 0.0)):
        assert (Lif(1.0)(torch.full((3, 4, 5, 6), value)) == expected).all()


def test_nothing_is_remembered_and_inputs_stay_as_they_are():
    lif, x = Lif(1.0), torch.rand(2, 3, 5) * 3
    before = x.clone()
    first = lif(x)
    lif(torch.rand(4, 7, 2))
    assert first.any() and torch.equal(first, lif(x)) and torch.equal(x, before)
    assert not lif.state_dict() and not list(lif.parameters())


def test_what_is_no_number_does_not_fire():
    x = torch.ones(1, 2, 3)
    x[0, 0] = float("nan")
    assert Lif(0.4)(x)[0].tolist() == [[0, 0, 0], [1, 1, 1]]


def test_no_samples():
    assert Lif(1.0)(torch.zeros(0, 2, 3)).shape == (0, 2, 3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_integrated_in_float32(dtype):
    x = random_currents((4, 5, 6), 0, 30.0).to(dtype)
    spikes = Lif(1.0)(x)
    assert spikes.dtype == dtype and spikes.any()
    assert torch.equal(spikes.float(), Lif(1.0)(x.float()))
    x.requires_grad_()
    Lif(1.0)(x).sum().backward()
    assert x.grad.dtype == dtype


def test_second_derivatives_are_refused():
    x, factor = (torch.ones(1, 1, 2, requires_grad=True) for _ in range(2))
    spikes = Lif(1.0)(x)
    (gradient,) = torch.autograd.grad((spikes * factor).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
