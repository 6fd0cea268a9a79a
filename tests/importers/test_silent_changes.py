"""Networks that the tracer once changed silently: they are followed exactly, or refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from sdt_lava.errors import TraceError
from sdt_lava.importers import trace
from sdt_lava.quantize.float_run import evaluate
from tests.importers.library_neurons import LIFNode, ParametricLIFNode


class Network(nn.Module):
    """A layer of neurons, and a function that goes on from its spikes."""

    def __init__(self, ending):
        super().__init__()
        self.conv, self.lif = nn.Conv2d(2, 4, 3, padding=1), LIFNode(step_mode="m")
        self.conv2, self.lif2 = nn.Conv2d(4, 4, 3, padding=1), LIFNode(step_mode="m")
        self.fc, self.small, self.norm = nn.Linear(144, 6), nn.Linear(4, 6), nn.BatchNorm1d(6)
        self.ending = ending

    def forward(self, x):  # (T, B, C, H, W)
        spikes = self.lif(self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2]))
        return self.ending(self, spikes)


X = 2 * torch.rand(3, 4, 2, 6, 6, generator=torch.Generator().manual_seed(0)).double()


def network_with(ending):
    torch.manual_seed(0)
    network = Network(ending).double().eval()
    with torch.no_grad():
        network.conv.weight.mul_(4)
        network.conv2.weight.mul_(6)
        network.norm.running_mean.copy_(torch.randn(6))
        network.norm.bias.copy_(torch.randn(6))
    return network


def traced(ending):
    network = network_with(ending)
    graph = trace(network, X, axes="TBCHW")
    with torch.no_grad():
        result = network(X)
    return evaluate(graph, X), graph, result


def logits(self, spikes):
    return self.fc(spikes.flatten(2))


def current(self, spikes):
    return self.conv2(spikes.flatten(0, 1)).unflatten(0, spikes.shape[:2])


def after_more_neurons(function):
    return lambda self, s: logits(self, self.lif2(function(self, s))).sum(0)


SUMMED = {
    "normalised": lambda self, s: self.norm(logits(self, s).sum(0)),
    "with an offset": lambda self, s: logits(self, s).sum(0) + torch.arange(6.0),
    "subtracted": lambda self, s: torch.arange(6.0) - logits(self, s).sum(0),
    "spikes with an offset": lambda self, s: self.small(s.sum(0).mean((2, 3)) + 1),
    "convolved": lambda self, s: functional.conv2d(
        s.sum(0), self.fc.weight.reshape(6, 4, 6, 6), self.fc.bias
    ).flatten(1),
    "rsub of a number": after_more_neurons(
        lambda self, s: torch.rsub(current(self, s), 2, alpha=3)
    ),
    "rsub of currents": after_more_neurons(
        lambda self, s: torch.rsub(current(self, s), current(self, s) * -2, alpha=2)
    ),
    "named arguments": after_more_neurons(
        lambda self, s: torch.add(
            input=current(self, s), other=torch.mul(current(self, s), other=2)
        )
    ),
    "a convolution by name": after_more_neurons(
        lambda self, s: functional.conv2d(
            weight=self.conv2.weight, input=s.flatten(0, 1), padding=1
        ).unflatten(0, s.shape[:2])
    ),
    "changed after a copy": after_more_neurons(lambda self, s: copied(current(self, s))),
}  # fmt: skip


def copied(x):
    x.to(torch.float64, copy=True).add_(5)
    return x


@pytest.mark.parametrize("name", SUMMED)
def test_sums_over_time_are_those_of_the_network(name):
    values, graph, result = traced(SUMMED[name])
    assert torch.allclose(values[graph.output_name].sum(0), result)
    assert 0 < values[graph.lif_names[-1]].double().mean() < 1


def two_norms(self, spikes):
    mean, variance = torch.zeros(4).double(), torch.ones(4).double()
    x = current(self, spikes).flatten(0, 1)
    one = functional.batch_norm(x, mean, variance)
    return (one - functional.batch_norm(x, mean, variance, eps=1.0)).unflatten(0, spikes.shape[:2])


def test_normalisations_that_differ_by_epsilon():
    values, graph, result = traced(after_more_neurons(two_norms))
    assert torch.allclose(values[graph.output_name].sum(0), result)


def reordered(self, spikes):
    return logits(self, spikes).mean(0).view(-1, 2, 3).transpose(1, 2).reshape(-1, 6)


def changed_parameter(self, spikes):
    before = current(self, spikes)
    with torch.no_grad():
        self.conv2.weight.mul_(1)
    return logits(self, self.lif2(before + current(self, spikes))).mean(0)


REFUSED = {
    "maximum of a sum": (
        lambda self, s: self.small(functional.max_pool2d(s.mean(0), 6).flatten(1)),
        "a maximum of sums over time",
    ),
    "product of sums": (
        lambda self, s: self.fc((s.mean(0) * s.mean(0)).flatten(1)),
        "a product with a sum over time",
    ),
    "rounded mean": (
        lambda self, s: self.fc(s.mean(0).to(torch.int64).double().flatten(1)),
        "round",
    ),
    "classes in another order": (reordered, "in another order"),
    "channels last": (lambda self, s: s.movedim(2, -1).flatten(2).mean(0), "in another order"),
    "negative spikes": (lambda self, s: -s.flatten(2).mean(0), "spikes times -1"),
    "bits": (
        lambda self, s: self.fc(s.float().view(torch.int32).double().flatten(2)).mean(0),
        "the bits of numbers",
    ),
    "changed parameter": (changed_parameter, "conv2.weight, which the network changes"),
    "the same axis twice": (lambda self, s: torch.stack([s, s, s]).sum(0).flatten(2), "twice"),
    "an axis more": (
        lambda self, s: logits(self, (s * torch.ones(1, 1, 1, 1, 1, 1))[0]).mean(0),
        "a result of shape",
    ),
    "weights from the input": (
        lambda self, s: functional.conv2d(s.flatten(0, 1), s.mean(0)).flatten(1),
        "a weight that depends on the network's input",
    ),
    "maximum over time": (lambda self, s: logits(self, s).max(0)[0], "operation max on currents"),
    "out of place": (
        lambda self, s: torch.zeros(6)
        .double()
        .expand(3, s.shape[1], 6)
        .clone()
        .add_(logits(self, s))
        .mean(0),
        "a = a + b in place of a += b",
    ),
    "out of place, without a meaning": (
        lambda self, s: logits(self, s).mean(0) + torch.zeros(6).add_(torch.exp(s).mean()),
        "operation exp on spikes",
    ),
    "unusual arguments": (
        lambda self, s: torch.add(logits(self, s), 2, logits(self, s)).mean(0),
        "operation add with unusual arguments",
    ),
    "an error of its own": (lambda self, s: {}["k"], "raised KeyError"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_graph_cannot_follow(name):
    ending, found = REFUSED[name]
    with pytest.raises(TraceError) as caught:
        traced(ending)
    assert found in str(caught.value)
    assert f"{__file__}:" in caught.value.where


class Loop(nn.Module):
    """Five steps, and something that is done to the neurons before each of them."""

    def __init__(self, between=lambda lif, step: None, ending=sum):
        super().__init__()
        self.fc, self.lif, self.last = nn.Linear(6, 8), LIFNode(v_threshold=0.4), nn.Linear(8, 3)
        self.between, self.ending = between, ending

    def forward(self, x):
        results = []
        for step in range(5):
            self.between(self.lif, step)
            results.append(self.last(self.lif(self.fc(x))))
        return self.ending(results)


LOOP_X = torch.rand(4, 6, generator=torch.Generator().manual_seed(0))


def set_attribute(name, value, at):
    return lambda lif, step: setattr(lif, name, value) if step == at else None


CHANGES = {
    "reset": (lambda lif, step: lif.reset() if step == 2 else None, "are reset before call 3"),
    "threshold": (set_attribute("v_threshold", 0.5, 3), "changes before call 4"),
    "set to rest": (set_attribute("v", 0.0, 2), "v set by the network"),
    "not at rest": (set_attribute("v", 0.5, 0), "v set by the network"),
    "damped": (
        lambda lif, step: setattr(lif, "v", lif.v * 0.5) if step else None,
        "a changed one",
    ),
    "damped in place": (lambda lif, step: lif.v.mul_(0.5) if step else None, "a changed one"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_neurons_that_the_network_changes_during_a_run(name):
    between, found = CHANGES[name]
    with pytest.raises(TraceError, match=r"module 'lif' \(LIFNode\), .*\.py:") as caught:
        trace(Loop(between), LOOP_X)
    assert found in str(caught.value)


KEPT = {
    "reset first": lambda lif, step: None if step else lif.reset(),
    "set to rest first": set_attribute("v", 0.0, 0),
    "detached": lambda lif, step: setattr(lif, "v", lif.v.detach()) if step else None,
    "detached in place": lambda lif, step: lif.v.detach_() if step else None,
}


@pytest.mark.parametrize("name", KEPT)
def test_membrane_potentials_that_the_network_leaves_as_they_are(name):
    network = Loop(KEPT[name])
    before = network.lif.v = torch.full((4, 8), 0.25)
    graph = trace(network, LOOP_X)
    assert network.lif.v is before or name != "detached"
    assert "reset" not in network.lif.__dict__ and "forward" not in network.lif.__dict__
    network.lif.reset()
    with torch.no_grad():
        result = network(LOOP_X)
    values = evaluate(graph, LOOP_X.expand(5, 4, 6))
    assert torch.allclose(values["last"].sum(0), result.double(), atol=1e-5)
    assert values["lif"].any() and not values["lif"].all()


def test_a_result_of_the_last_step():
    for steps in (None, 5):
        with pytest.raises(TraceError, match="a result of time step 5 alone"):
            trace(Loop(ending=lambda results: results[-1]), LOOP_X, timesteps=steps)
    with pytest.raises(TraceError, match="timesteps = 7"):
        trace(Loop(), LOOP_X, timesteps=7)


def test_learned_leaks_have_an_effect():
    network = nn.Sequential(nn.Linear(6, 8), ParametricLIFNode(init_tau=4.0), nn.Linear(8, 3))
    assert "trace" not in trace(network, LOOP_X, timesteps=2).metadata


def test_surrogates_leave_the_names_of_neurons():
    network = nn.Sequential(nn.Linear(6, 8), LIFNode(), nn.Linear(8, 3))
    network[1].surrogate_function = nn.Sigmoid()
    assert [node.name for node in trace(network, LOOP_X, timesteps=2)] == ["input", "0", "1", "2"]


def test_compiled_networks():
    whole, inner, in_place = Loop(), Loop(), Loop()
    inner.fc = torch.compile(inner.fc, backend="eager")
    in_place.compile(backend="eager")
    for network in (torch.compile(whole, backend="eager"), inner, in_place):
        graph = trace(network, LOOP_X)
        assert [node.kind for node in graph] == ["input", "dense", "lif", "readout"]
        assert [node.name for node in graph][2:] == ["lif", "last"]
