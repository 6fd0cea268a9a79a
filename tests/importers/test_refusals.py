"""What a graph cannot express is an error that says where; what is not used is reported."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from sdt_lava.errors import TraceError
from sdt_lava.importers import trace
from sdt_lava.importers.tracing import mode
from tests.importers.library_neurons import LIFNode


class Network(nn.Module):
    """Two layers of neurons with something between them."""

    def __init__(self, between, mode="m"):
        super().__init__()
        self.conv, self.lif1 = nn.Conv2d(2, 4, 3, padding=1), LIFNode(step_mode=mode)
        self.inner = Between(between)
        self.conv2, self.lif2 = nn.Conv2d(4, 4, 1), LIFNode(step_mode=mode)
        self.fc = nn.Linear(64, 3)

    def forward(self, x):
        steps, batch = x.shape[:2]
        spikes = self.lif1(self.conv(x.flatten(0, 1)).unflatten(0, (steps, batch)))
        current = self.conv2(self.inner(spikes).flatten(0, 1)).unflatten(0, (steps, batch))
        return self.fc(self.lif2(current).flatten(2)).mean(0)


class Between(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


X = torch.rand(3, 2, 2, 4, 4, generator=torch.Generator().manual_seed(0))


def traced(function):
    return trace(Network(function), X, axes="TBCHW")


OPERATIONS = {
    "exp": lambda x: torch.exp(x),
    "sigmoid": lambda x: x.sigmoid(),
    "softmax": lambda x: functional.softmax(x, dim=2),
    "layer_norm": lambda x: functional.layer_norm(x, x.shape[2:]),
    "einsum": lambda x: torch.einsum("tbchw,tbcxw->tbchx", x, x),
    "matmul": lambda x: x @ x,
    "a sum of spikes and spikes": lambda x: x + x.flip(0) if False else x + x,
    "roll": lambda x: x.roll(1, 0),
    "flip": lambda x: x.flip(-1),
    "cumsum": lambda x: x.cumsum(0),
    "rand_like": lambda x: x * (torch.rand_like(x) > 0.5),
    "different signals joined": lambda x: torch.cat([x, x[:, :, :2]], dim=2)[:, :, :4],
    "a single position": lambda x: x[:, :, :1].expand_as(x) * x[:, :, 0:1],
    "an offset that differs": lambda x: x + torch.rand(4, 4),
    "factors": lambda x: x * torch.rand(4, 4),
    "axes are in different order": lambda x: x * x.transpose(-1, -2),
    "over the batch": lambda x: x - x.mean(1, keepdim=True),
    "a part of the axes": lambda x: x * x.sum(-1, keepdim=True),
    "not square": lambda x: functional.max_pool3d(x, (1, 3, 1), 1, (0, 1, 0)),
    "mixes axes": lambda x: x.reshape(3, 2, 8, 2, 4).transpose(2, 3).reshape(x.shape).exp(),
    "rearranged": lambda x: x.transpose(2, 3).reshape(x.shape),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_without_meaning(name):
    with pytest.raises(TraceError) as caught:
        traced(OPERATIONS[name])
    error = caught.value
    # Of what is only found out where it is read, that line is named.
    assert f"{__file__}:" in error.where and "module '" in error.where
    line = int(error.where.split(f"{__file__}:")[1].split(":")[0])
    assert line > 0 and "`" in error.where
    assert error.found


def test_the_error_says_module_line_and_operation():
    with pytest.raises(TraceError) as caught:
        traced(OPERATIONS["exp"])
    error = caught.value
    assert error.where.startswith("module 'inner' (Between), ")
    assert error.where.endswith('`"exp": lambda x: torch.exp(x),`')
    assert error.found == "operation exp on spikes"


def in_place_elsewhere(x):
    view = x.view(-1)
    view.zero_()
    return x


def into_a_buffer(x):
    out = torch.zeros(x.shape)
    for step in range(len(x)):
        out[step] = x[step]
    return out


def by_values(x):
    return x if x.sum() > 3 else x * 2


class Hidden(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x - x.mean(1, keepdim=True)


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (in_place_elsewhere, "changed in place"),
        (into_a_buffer, "setitem"),
        (by_values, "__bool__"),
        (lambda x: x * x.mean().item(), "item"),
        (lambda x: torch.from_numpy(x.numpy()), "numpy"),
        (Hidden.apply, ""),
    ],
)
def test_what_goes_around_the_tracer(function, found):
    with pytest.raises(TraceError) as caught:
        traced(function)
    assert found in str(caught.value)


def test_dead_code_may_do_anything():
    def between(x):
        record = {"rate": x.float().mean(), "spikes": x.detach(), "odd": torch.exp(x).sum()}
        return x if record else None

    assert len(traced(between)) == len(traced(lambda x: x)) == 7


def test_time_that_was_joined_with_the_batch():
    class Joined(Network):
        def forward(self, x):
            spikes = self.lif1(self.conv(x.flatten(0, 1)))
            return self.fc(spikes.flatten(1)).unflatten(0, x.shape[:2]).mean(0)

    with pytest.raises(TraceError, match="neurons whose first axis is time and the batch"):
        trace(Joined(None), X, axes="TBCHW")
    with pytest.raises(TraceError, match="step_mode = 's'"):
        trace(Joined(None, mode="s"), X, axes="TBCHW")


def test_batch_first_by_mistake():
    with pytest.raises(TraceError, match="neurons whose first axis is the batch"):
        trace(Network(lambda x: x), X.swapaxes(0, 1), axes="BTCHW")


def test_neurons_at_two_places():
    class Twice(Network):
        def forward(self, x):
            steps, batch = x.shape[:2]
            for layer in (self.conv, self.conv2):
                x = self.lif1(layer(x.flatten(0, 1)).unflatten(0, (steps, batch)))
            return self.fc(x.flatten(2)).mean(0)

    with pytest.raises(TraceError, match="called twice"):
        trace(Twice(None), X, axes="TBCHW")


class Running(nn.Module):
    """A statistic of the batch, in a function that torch does not tell the tracer of."""

    def forward(self, x):
        with torch._C.DisableTorchFunction():
            value = float(x.sum()) if x.device.type == "cpu" else 0.0
        return x * (1 + value)


def test_dependence_on_the_rest_of_the_batch():
    network = nn.Sequential(nn.Linear(3, 4), Running(), LIFNode(), nn.Linear(4, 2))
    with pytest.raises(TraceError, match="other currents for the same samples"):
        trace(network, torch.rand(2, 3) + 1, timesteps=2)


def test_statistics_of_a_batch():
    network = nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4, track_running_stats=False), LIFNode(), nn.Linear(4, 2)
    )
    with pytest.raises(TraceError, match="statistics of a batch"):
        trace(network, torch.rand(2, 3), timesteps=2)


def test_a_batch_size_in_the_code():
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.lif = nn.Linear(3, 4), LIFNode()

        def forward(self, x):
            return self.lif(self.fc(x).view(2, 4))

    with pytest.raises(TraceError):
        trace(Fixed(), torch.rand(2, 3), timesteps=2)


def test_unused_parts_are_reported(caplog):
    class Spare(Network):
        def __init__(self):
            super().__init__(lambda x: x)
            self.spare = nn.Linear(2, 2)
            self.aside = nn.Conv2d(4, 4, 1)

        def forward(self, x):
            self.aside(x.flatten(0, 1).repeat(1, 2, 1, 1))
            return super().forward(x)

    graph = trace(Spare(), X, axes="TBCHW")
    notes = graph.metadata["trace"]
    assert notes["modules never called"] == ["spare"]
    assert notes["parameters without effect"] == [
        "spare.weight", "spare.bias", "aside.weight", "aside.bias",
    ]  # fmt: skip
    assert "spare.weight" in caplog.text


@pytest.mark.parametrize(
    ("x", "axes", "found"),
    [
        (torch.rand(3, 2, 2), None, "3 axes"),
        (torch.rand(3, 2, 2), "TCB", ""),
        (X, "TBCWH", "CWH"),
        (X, "TCHW", ""),
        (X[:, :0], "TBCHW", "shape"),
        (X * float("nan"), "TBCHW", "NaN"),
    ],
)
def test_examples(x, axes, found):
    with pytest.raises(TraceError) as caught:
        trace(Network(lambda x: x), x, axes=axes)
    assert found in caught.value.found


def test_a_number_of_steps_is_needed():
    network = nn.Sequential(nn.Linear(3, 2), LIFNode(), nn.Linear(2, 2))
    with pytest.raises(TraceError, match="pass timesteps=T"):
        trace(network, torch.rand(2, 3))
    with pytest.raises(TraceError, match="no example"):
        trace(network)


def test_every_operation_is_registered_once():
    assert len(mode.OPERATIONS) == 4
