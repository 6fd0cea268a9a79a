"""Networks of users: their graphs spike as they do, and their exports as their graphs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sdt_lava.importers import trace
from sdt_lava.ir import Conv, Dense, Lif, OrPool, Readout, Shortcut, TokenMean
from sdt_lava.ir.encoding import encode
from sdt_lava.ir.reference import run_reference
from sdt_lava.quantize.float_run import evaluate
from sdt_lava.quantize.post_training import quantize
from tests.importers.library_neurons import Leaky, LIFNode
from tests.importers.networks import Loop, ResNet, Vgg, unsettle


def run(network, x):
    """Return a network's result and the spikes of its neurons as it runs by itself, (T, B, ...)."""
    calls, handles = {}, []
    for name, module in network.named_modules():
        if hasattr(module, "reset"):
            module.reset()
        if hasattr(module, "backend") or isinstance(module, Leaky):
            handles.append(
                module.register_forward_hook(
                    lambda m, i, out, name=name: calls.setdefault(name, []).append(out)
                )
            )
    with torch.no_grad():
        result = network(x)
    for handle in handles:
        handle.remove()
    return result, {name: torch.stack(out).squeeze(0) for name, out in calls.items()}


def assert_graph_spikes(graph, network, x, frames):
    result, spikes = run(network, x)
    values = evaluate(graph, frames)
    assert set(graph.lif_names) == set(spikes)
    for name in graph.lif_names:
        expected = spikes[name].reshape(values[name].shape).to(torch.uint8)
        assert torch.equal(values[name], expected), name
        assert expected.any() and not expected.all(), name
    output = values[graph.output_name].double().mean(0)
    assert torch.allclose(output, result.double(), atol=1e-5)


def assert_integer_graph_follows(graph, x):
    """Rounded to 8 bits, most spikes stay where they are."""
    integer, _ = quantize(graph)
    spikes = run_reference(integer, encode(integer, x))
    values = evaluate(graph, torch.from_numpy(np.moveaxis(np.asarray(x), 1, 0)))
    for name in graph.lif_names:
        assert (spikes[name] == values[name].numpy()).mean() > 0.9, name


def levels(shape, seed):
    """Return pixels, so that rounding the input changes nothing."""
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed)) / 255


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("side", [8, 16])
def test_convolutions_and_pools(seed, steps, side):
    torch.manual_seed(seed)
    network = unsettle(Vgg(side=side), seed)
    x = levels((steps, 3, 2, side, side), seed)
    graph = trace(network, x, axes="TBCHW")
    assert graph.timesteps == steps and graph.input_shape == (2, side, side)
    assert [type(node) for node in graph][1:] == [
        Conv, Lif, OrPool, Conv, Lif, Conv, Lif, Dense, Lif, Readout,
    ]  # fmt: skip
    _, spikes = run(network, x)
    values = evaluate(graph, x)
    for name in graph.lif_names:
        assert torch.equal(values[name], spikes[name].to(torch.uint8).view_as(values[name])), name
    assert values["features.2"].any()
    if steps == 4:
        assert_integer_graph_follows(graph, x.swapaxes(0, 1).numpy())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("steps", "sides"), [(4, (8, 8)), (1, (9, 7)), (3, (5, 12)), (2, (4, 4))])
def test_membrane_shortcuts(seed, steps, sides):
    torch.manual_seed(seed)
    network = unsettle(ResNet(steps), seed)
    x = levels((2, 3, *sides), seed)
    graph = trace(network, x)
    assert graph.timesteps == steps
    shortcuts = {node.name for node in graph.of_type(Shortcut)}
    assert shortcuts == {"layer1.shortcut", "layer2.shortcut"}
    assert [node.name for node in graph.of_type(TokenMean)] == ["fc.token_mean"]
    frames = x[None].expand(steps, *x.shape)
    values, (result, spikes) = evaluate(graph, frames), run(network, x)
    for name in graph.lif_names:
        assert torch.equal(values[name], spikes[name].view_as(values[name]).to(torch.uint8)), name
    assert values["layer1.lif1"].any()
    assert torch.allclose(values["fc"].mean(0), result.double(), atol=1e-5)
    if steps == 4:
        assert_integer_graph_follows(graph, frames.swapaxes(0, 1).numpy())


def leaky(**changes):
    return Leaky(0.75, 0.6, reset_mechanism="zero", **changes)


@pytest.mark.parametrize("neuron", [LIFNode, lambda: leaky(init_hidden=True)])
@pytest.mark.parametrize("steps", [1, 2, 6])
def test_loops_over_time(neuron, steps):
    torch.manual_seed(0)
    network = unsettle(Loop(steps, neuron=neuron), 0)
    x = 3 * levels((3, 12), 0)
    graph = trace(network, x, timesteps=1 if steps == 1 else None)
    assert graph.timesteps == steps
    if steps == 6:
        assert_graph_spikes(graph, network, x, x[None].expand(steps, *x.shape))


class PassedAround(nn.Module):
    """snnTorch's tutorial: membrane potentials go in and out, spikes are collected."""

    def __init__(self, steps=6):
        super().__init__()
        self.steps, self.fc1, self.fc2 = steps, nn.Linear(12, 10), nn.Linear(10, 3)
        self.lif1, self.lif2 = leaky(), leaky()

    def forward(self, x):
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, potentials = [], []
        for step in range(self.steps):
            spk1, mem1 = self.lif1(self.fc1(x[step]), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            potentials.append(mem2)
        return torch.stack(spikes, dim=0), torch.stack(potentials, dim=0)


def test_membrane_potentials_passed_around():
    torch.manual_seed(1)
    network = PassedAround()
    with torch.no_grad():
        network.fc2.weight.mul_(4)
    x = 3 * levels((6, 4, 12), 3)
    graph = trace(network, x, axes="TBC")
    assert [node.kind for node in graph] == ["input", "dense", "lif", "dense", "lif"]
    with torch.no_grad():
        spikes, _ = network(x)
    assert torch.equal(evaluate(graph, x)["lif2"], spikes.to(torch.uint8)) and spikes.any()


def test_one_step_a_call():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), LIFNode(), nn.Linear(8, 3))
    graph = trace(network, levels((2, 3, 2, 2), 0), timesteps=5)
    assert graph.timesteps == 5 and [node.name for node in graph] == ["input", "1", "2", "3"]


@pytest.mark.lava
def test_slayer_network_of_a_class_of_its_own():
    from lava.lib.dl import slayer

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            values = {"threshold": 1.25, "current_decay": 0.25, "voltage_decay": 0.03}
            self.conv = slayer.synapse.Conv(2, 6, 3, stride=2, padding=1)
            self.cuba1 = slayer.neuron.cuba.Neuron(**values)
            self.pool = slayer.synapse.Pool(2)
            self.cuba2 = slayer.neuron.cuba.Neuron(**values)
            self.dense = slayer.synapse.Dense(6 * 2 * 2, 10)
            self.cuba3 = slayer.neuron.cuba.Neuron(**values)

        def forward(self, x):  # (B, C, H, W, T)
            x = self.cuba1(self.conv(x))
            x = self.cuba2(self.pool(x))
            return self.cuba3(self.dense(x.reshape(len(x), -1, x.shape[-1])))

    for seed in range(3):
        torch.manual_seed(seed)
        network = Network().eval()
        with torch.no_grad():
            network.conv.weight.mul_(4)
            network.dense.weight.mul_(8)
        x = (torch.rand(2, 2, 8, 8, 9) < 0.4).float()
        graph = trace(network, x, axes="BCHWT")
        assert graph.timesteps == 9 and graph.input.high == 1
        lif = graph.nodes["cuba1"]
        assert (lif.threshold, lif.current_decay, lif.voltage_decay) == (1.25, 1024, 123)
        with torch.no_grad():
            spikes = network(x)
        frames = x.permute(4, 0, 1, 2, 3)
        found = evaluate(graph, frames)["cuba3"]
        expected = spikes.permute(2, 0, 1).to(torch.uint8)
        # SLAYER cuts its state off to steps of 1/4096, so that a spike may come a step later.
        assert (found == expected).float().mean() > 0.97 and expected.any()
