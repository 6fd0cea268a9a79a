"""Synapses and batch normalisation."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from sdt_lava.families.blocks.layers import Norm, batch_norm, conv1x1, conv3x3
from sdt_lava.families.blocks.synapses import Synapse
from sdt_lava.model import SpikeDrivenTransformer
from tests.families.sdt1.networks import lively_network, random_input, tiny_config


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (1, 1, 0)])
def test_each_step_is_a_convolution_of_its_image(kernel, stride, padding):
    synapse = Synapse(3, 5, kernel, stride, padding)
    x = random_input((2, 3, 7, 6, 4))
    out = synapse(x)
    for step in range(4):
        weight = synapse.weight[..., 0]
        expected = functional.conv2d(x[..., step], weight, None, stride, padding)
        assert torch.allclose(out[..., step], expected, atol=1e-5)


def test_names_and_shapes_of_weights():
    """Checkpoints depend on them."""
    assert [(n, tuple(w.shape)) for n, w in conv3x3(2, 4, stride=2).state_dict().items()] == [
        ("weight", (4, 2, 3, 3, 1))
    ]
    assert [tuple(w.shape) for w in conv1x1(2, 4).parameters()] == [(4, 2, 1, 1, 1)]
    names = SpikeDrivenTransformer(tiny_config()).state_dict()
    assert not [name for name in names if "_lif" in name]


def test_the_hook_sees_the_weights():
    synapse, x = Synapse(2, 2, 1), random_input((1, 2, 3, 3, 2))
    plain = synapse(x)
    synapse.pre_hook_fx = lambda weight: weight * 2
    assert torch.equal(synapse(x), plain * 2) and plain.any()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("last_in_input", [True, False])
def test_norms_with_memory_in_any_order(training, steps, last_in_input):
    """Torch's own gives wrong gradients where input and gradient differ in it."""
    channels_last = torch.channels_last_3d
    x, received = random_input((5, 6, 2, 3, steps)), random_input((5, 6, 2, 3, steps), 1)
    results = []
    for order in (torch.contiguous_format, channels_last):
        norm = batch_norm(6).train(training)
        leaf = x.clone(memory_format=channels_last if last_in_input else torch.contiguous_format)
        leaf.requires_grad_()
        norm(leaf).backward(received.clone(memory_format=order))
        results.append([leaf.grad, norm.weight.grad, norm.bias.grad])
    for plain, other in zip(*results, strict=True):
        assert plain.any() and torch.equal(plain, other)


class ByFormula(nn.Module):
    """A normalisation in evaluation, from operations that add nothing up."""

    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def forward(self, x):
        norm = self.norm
        shape = (-1, 1, 1, 1)
        gain = norm.weight / (norm.running_var + norm.eps).sqrt()
        bias = norm.bias - norm.running_mean * gain
        return x * gain.reshape(shape) + bias.reshape(shape)


@pytest.mark.parametrize("steps", [1, 2])
def test_gradients_of_a_network(steps):
    config = tiny_config(timesteps=steps, threshold=0.5)
    x, found = random_input((4, 2, 8, 8)), []
    for replaced in (False, True):
        model = lively_network(config)
        weights = dict(model.named_parameters())
        for name, norm in list(model.named_modules()):
            if replaced and isinstance(norm, Norm):
                parent, _, attribute = name.rpartition(".")
                setattr(model.get_submodule(parent), attribute, ByFormula(norm))
        model(x).square().sum().backward()
        found.append({name: weight.grad for name, weight in weights.items()})
    for name, gradient in found[0].items():
        assert gradient.any(), name
        torch.testing.assert_close(gradient, found[1][name], rtol=1e-3, atol=1e-5)
