"""Synapses and neurons against those of lava-dl's SLAYER: the same bits, gradients too."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from lava.lib.dl import slayer
from torch import nn

from sdt_lava.families.blocks.layers import batch_norm
from sdt_lava.families.blocks.neurons import SCALE_GRAD, TAU_GRAD, Lif
from sdt_lava.families.blocks.synapses import Synapse
from tests.families.sdt1.networks import lively_network, random_input, tiny_config

pytestmark = pytest.mark.lava

SHAPES = [(6, 5, 4, 3), (1, 1, 1, 1), (3, 7, 5, 9), (2, 5), (64, 33)]


def slayers_neuron(threshold, **changes):
    return slayer.neuron.cuba.Neuron(
        threshold=threshold,
        current_decay=1.0,
        voltage_decay=0.5,
        tau_grad=TAU_GRAD,
        scale_grad=SCALE_GRAD,
        scale=64,
        **changes,
    )


def random_currents(shape, seed, size=1.0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * size


def gradients(module, x, seed=0):
    """Return the output and the gradients of the input and of all parameters that have one."""
    leaf = x.clone().requires_grad_()
    out = module(leaf)
    (out * random_currents(out.shape, 100 + seed)).sum().backward()
    return [out, leaf.grad, *(p.grad for p in module.parameters() if p.requires_grad)]


def assert_same(ours, slayers):
    assert len(ours) == len(slayers)
    for one, other in zip(ours, slayers, strict=True):
        assert one.dtype == other.dtype and torch.equal(one, other)


# The last sizes leave the range in which float32 is exact, and that of 64 bits.
@pytest.mark.parametrize("size", [0.0, 0.01, 1.0, 30.0, 1000.0, 1e5, 1e12, 1e30])
@pytest.mark.parametrize("steps", [1, 2, 9])
@pytest.mark.parametrize("threshold", [0.5, 1.0, 1.37, 40.0])
def test_spikes_and_voltages(size, steps, threshold):
    for seed, shape in enumerate(SHAPES):
        x = random_currents((*shape, steps), seed, size)
        ours, slayers = Lif(threshold), slayers_neuron(2 * threshold)
        assert torch.equal(ours(x), slayers(x))
        assert torch.equal(ours.voltages(x), slayers.dynamics(x)[1])


@pytest.mark.parametrize("special", [float("nan"), float("inf"), float("-inf"), -0.0])
def test_values_that_are_no_numbers(special):
    x = random_currents((4, 3, 6), 1)
    x[::2, 1, ::3] = special
    ours, slayers = Lif(1.0), slayers_neuron(2.0)
    assert torch.equal(ours.voltages(x), slayers.dynamics(x)[1])
    assert_same(gradients(ours, x), gradients(slayers_neuron(2.0), x)[:2])


def test_on_the_grid_and_at_the_threshold():
    x = torch.randint(-3, 4, (50, 8, 12), generator=torch.Generator().manual_seed(1)).float()
    assert torch.equal(Lif(1.0)(x), slayers_neuron(2.0)(x))
    # One level below, equality counts.
    at_threshold = Lif(0.5, fires_at_threshold=True)
    assert torch.equal(at_threshold(x), slayers_neuron(1.0 - 1 / 64)(x))
    assert at_threshold(torch.ones(1, 1, 1)).item() == 1 and Lif(0.5)(torch.ones(1, 1, 1)) == 0


def test_always_and_never():
    for value, expected in ((1e3, 1.0), (0.0, 0.0), (-1e3, 0.0)):
        x = torch.full((3, 4, 5, 5, 6), value)
        ours, slayers = gradients(Lif(1.0), x), gradients(slayers_neuron(2.0), x)
        assert_same(ours, slayers)
        assert (ours[0] == expected).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.3, 1.0, 4.0, 1e5])
@pytest.mark.parametrize("steps", [1, 2, 6])
def test_gradients_of_currents(dtype, size, steps):
    for seed, shape in enumerate(SHAPES):
        x = random_currents((*shape, steps), seed, size).to(dtype)
        ours, slayers = gradients(Lif(1.0), x, seed), gradients(slayers_neuron(2.0), x, seed)
        assert_same(ours, slayers)
    if size == 1.0:
        assert slayers[1].abs().max() > 0


def test_constants_get_no_gradient():
    ours, slayers = Lif(1.0), slayers_neuron(2.0, requires_grad=False)
    assert not list(ours.parameters())
    assert not any(parameter.requires_grad for parameter in slayers.parameters())
    assert ours.decays == (slayers.cx_voltage_decay, slayers.cx_current_decay)
    x = random_currents((2, 3, 4), 0)
    assert not ours(x).requires_grad and not slayers(x).requires_grad


def same_layout(neuron):
    """Make the gradients contiguous that a neuron gives back.

    SLAYER's has them in another order in memory than ours, and the backward pass of a batch
    normalisation adds up in that order.
    """

    def contiguous(_neuron, inputs):
        if inputs[0].requires_grad:
            inputs[0].register_hook(torch.Tensor.contiguous)

    neuron.register_forward_pre_hook(contiguous)
    return neuron


LAYERS = [
    # channels in and out, kernel, stride, padding, shape of the image
    (3, 5, 3, 1, 1, (7, 9)),
    (2, 4, 3, 2, 1, (5, 5)),
    (1, 1, 3, 1, 1, (1, 1)),
    (8, 16, 1, 1, 0, (4, 3)),
    (17, 9, 1, 1, 0, (1, 5)),
]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("norm", [False, True], ids=["plain", "norm"])
def test_layers_and_their_gradients(layer, steps, norm):
    channels_in, channels_out, kernel, stride, padding, image = layer
    for seed, training in product(range(3), (True, False)):
        torch.manual_seed(seed)
        ours = Synapse(channels_in, channels_out, kernel, stride, padding)
        torch.manual_seed(seed)
        slayers = slayer.synapse.Conv(channels_in, channels_out, kernel, stride, padding)
        # The same numbers are drawn for the weights, under the same name.
        assert_same(list(ours.state_dict().values()), list(slayers.state_dict().values()))
        assert ours.state_dict().keys() == slayers.state_dict().keys()
        x = (random_currents((6, channels_in, *image, steps), seed) > 0).float()
        norms = [batch_norm(channels_out).train(training) for _ in range(2)] if norm else []
        left = nn.Sequential(ours, *norms[:1], same_layout(Lif(0.1)))
        right = nn.Sequential(slayers, *norms[1:], same_layout(slayers_neuron(0.2)))
        assert_same(gradients(left, x, seed), gradients(right, x, seed))


def test_rounded_weights():
    neuron = slayers_neuron(2.0)
    for hook in (neuron.quantize_8bit, None):
        torch.manual_seed(0)
        ours, slayers = Synapse(4, 6, 3), slayer.synapse.Conv(4, 6, 3)
        slayers.load_state_dict(ours.state_dict())
        ours.pre_hook_fx = slayers.pre_hook_fx = hook
        x = random_input((2, 4, 6, 5, 3))
        assert_same(gradients(ours, x), gradients(slayers, x))


def with_slayer(model):
    """Put SLAYER's synapses and neurons in the places of ours."""
    for name, module in list(model.named_modules()):
        if isinstance(module, Synapse):
            other = slayer.synapse.Conv(
                module.in_channels,
                module.out_channels,
                module.kernel_size[:2],
                module.stride[:2],
                module.padding[:2],
            )
            other.load_state_dict(module.state_dict())
        elif isinstance(module, Lif):
            other = slayers_neuron(module.threshold)
        else:
            continue
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, other)
    return model


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"downsampling": "or", "pooling_stat": "1010", "image_size": (5, 7)},
        {"downsampling": "max", "timesteps": 1},
        {"dvs_mode": True, "shortcut": "sew"},
    ],
    ids=lambda changes: ", ".join(map(str, changes.values())) or "plain",
)
def test_networks(changes, seed):
    config = tiny_config(**changes)
    ours = lively_network(config, seed)
    slayers = with_slayer(lively_network(config, seed))
    x = random_input((5, config.in_channels, *config.image_size), seed)
    left, right = {}, {}
    with torch.no_grad():
        assert torch.equal(ours(x, left), slayers(x, right))
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)
    for model in (ours, slayers):
        for name in left:
            same_layout(model.get_submodule(name))
        model.train()
        model(x).square().sum().backward()
    theirs = dict(slayers.named_parameters())
    for name, parameter in ours.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
        assert torch.equal(parameter.grad, theirs[name].grad), name
