"""Neurons of other libraries: their equations, and what integer neurons cannot do."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sdt_lava.errors import TraceError
from sdt_lava.importers import trace
from sdt_lava.importers.tracing.neurons import neuron_of
from sdt_lava.importers.tracing.probe import check_neuron
from tests.importers.library_neurons import (
    IFNode,
    Leaky,
    LIFNode,
    MultiStepLIFNode,
    ParametricLIFNode,
)

M = {"step_mode": "m"}


@pytest.mark.parametrize(
    ("module", "threshold", "voltage_decay"),
    [
        (MultiStepLIFNode(), 2.0, 2048),
        (MultiStepLIFNode(tau=4.0, v_threshold=0.5), 2.0, 1024),
        (LIFNode(decay_input=False, v_threshold=0.75), 0.75, 2048),
        (LIFNode(**M), 2.0, 2048),
        (IFNode(v_threshold=1.5), 1.5, 0),
        (ParametricLIFNode(init_tau=2.0), 2.0, 2048),
        (ParametricLIFNode(init_tau=2.0, decay_input=False), 1.0, 2048),
        (Leaky(0.75, 0.5, "zero"), 0.5, 1024),
        (Leaky(1.0, 0.5, "zero", init_hidden=True), 0.5, 0),
    ],
)
def test_equations(module, threshold, voltage_decay):
    neuron = neuron_of(module, "here")
    assert neuron.threshold == pytest.approx(threshold, rel=1e-6)
    assert (neuron.voltage_decay, neuron.current_decay, neuron.note) == (voltage_decay, 4096, "")
    check_neuron(module, neuron, "here")


def per_channel(module):
    module.v_threshold = torch.tensor([1.0, 2.0])
    return module


def changed(module, **values):
    for name, value in values.items():
        setattr(module, name, value)
    return module


class Adaptive(LIFNode):
    def charge(self, x):
        return super().charge(x)

    def neuronal_charge(self, x):
        return x


class BaseNode(nn.Module):
    v_threshold, v_reset = 1.0, 0.0


class QIFNode(BaseNode):
    pass


REFUSED = [
    (MultiStepLIFNode(v_reset=None), "v_reset = None"),
    (LIFNode(v_reset=-0.25), "v_reset = -0.25"),
    (per_channel(LIFNode()), "v_threshold = 2 values"),
    (LIFNode(v_threshold=-1.0), "v_threshold = -1.0"),
    (LIFNode(tau=0.5), "tau = 0.5"),
    (changed(LIFNode(), tau=float("nan")), "tau = "),
    (LIFNode(step_mode="x"), "step_mode = 'x'"),
    (Leaky(0.5), "reset_mechanism = 'subtract'"),
    (Leaky(0.5, reset_mechanism="none"), "reset_mechanism = 'none'"),
    (changed(Leaky(0.5, reset_mechanism="zero"), inhibition=True), "inhibition = True"),
    (changed(Leaky(0.5, reset_mechanism="zero"), beta=torch.tensor([0.1, 0.2])), "beta = 2 values"),
    (changed(Leaky(0.5, reset_mechanism="zero"), graded_spikes_factor=2.0), "graded_spikes_factor"),
    (Adaptive(), "neuronal_charge = a method of Adaptive"),
    (QIFNode(), "class = QIFNode"),
]


@pytest.mark.parametrize(("module", "found"), REFUSED, ids=[found for _, found in REFUSED])
def test_refusals_name_the_attribute(module, found):
    network = nn.Sequential(nn.Linear(3, 2), module, nn.Linear(2, 2))
    with pytest.raises(TraceError) as caught:
        trace(network, torch.rand(2, 3), timesteps=2)
    assert found in caught.value.found and "module '1'" in caught.value.where


class Late(LIFNode):
    """Its attributes are those of another neuron than it is: it resets at the next step."""

    def step(self, x):
        before = getattr(self, "fired", 0.0)
        self.v = self.v * (1 - before) / 2 + x
        self.fired = (self.v >= 1).to(x)
        return self.fired * (1 - before)


def test_neurons_that_do_something_else_are_found_out():
    module = Late(decay_input=False)
    with pytest.raises(TraceError, match="spikes are not those of its attributes"):
        trace(nn.Sequential(nn.Linear(3, 2), module), torch.rand(2, 3), timesteps=2)
    assert module.v == 0.0  # a copy was tried out


def test_state_and_mode_are_left_as_they_were():
    network = nn.Sequential(nn.Linear(3, 2), LIFNode(), nn.Linear(2, 2)).train()
    network(torch.ones(5, 3))
    before = network[1].v.clone()
    trace(network, torch.rand(2, 3), timesteps=2)
    assert torch.equal(network[1].v, before) and network.training and network[1].training
    assert not any("forward" in vars(module) for module in network.modules())


def test_a_leak_between_two_steps_of_the_grid_is_noted():
    network = nn.Sequential(nn.Linear(3, 2), LIFNode(tau=3.0), nn.Linear(2, 2))
    graph = trace(network, torch.rand(2, 3), timesteps=2)
    assert graph.nodes["1"].voltage_decay == 1365
    assert graph.metadata["trace"]["rounded"] == ["1: tau = 3 leaks 1365/4096 a step"]


def test_installed_spikingjelly():
    neurons = pytest.importorskip("spikingjelly.activation_based.neuron")
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    layers = pytest.importorskip("spikingjelly.activation_based.layer")
    network = nn.Sequential(
        layers.Conv2d(1, 4, 3, padding=1),
        layers.BatchNorm2d(4),
        neurons.LIFNode(tau=2.0, detach_reset=True),
        layers.MaxPool2d(2),
        layers.Flatten(),
        layers.Linear(4 * 4 * 4, 20),
        neurons.IFNode(),
        layers.VotingLayer(10),
    ).eval()
    functional.set_step_mode(network, "m")
    graph = trace(network, torch.rand(3, 2, 1, 8, 8), axes="TBCHW")
    assert [node.kind for node in graph] == [
        "input", "conv", "lif", "or_pool", "dense", "lif", "group_sum",
    ]  # fmt: skip
    soft = neurons.IFNode(v_reset=None)
    with pytest.raises(TraceError, match="v_reset = None"):
        trace(nn.Sequential(nn.Linear(3, 2), soft), torch.rand(2, 3), timesteps=2)
