"""Neurons as the libraries have them, for machines where these are not installed.

Classes and attributes are what the tracer goes by, and the numbers are the libraries' own: written
from their documentation. Surrogate gradients are left out.
"""

from __future__ import annotations

import torch
from torch import nn


class MultiStepLIFNode(nn.Module):
    """SpikingJelly 0.0.0.0.12: time is the first axis, the state stays until reset."""

    def __init__(
        self, tau=2.0, decay_input=True, v_threshold=1.0, v_reset=0.0, detach_reset=True,
        backend="torch",
    ):  # fmt: skip
        super().__init__()
        self.tau, self.decay_input = tau, decay_input
        self.v_threshold, self.v_reset = v_threshold, v_reset
        self.detach_reset, self.backend = detach_reset, backend
        self.v = 0.0

    def reset(self):
        self.v = 0.0

    def charge(self, x):
        rest = self.v_reset or 0.0
        if self.decay_input:
            return self.v + (x - (self.v - rest)) / self.tau
        return self.v - (self.v - rest) / self.tau + x

    def step(self, x):
        v = self.charge(x)
        spikes = (v >= self.v_threshold).to(x)
        if self.v_reset is None:
            self.v = v - spikes * self.v_threshold
        else:
            self.v = v * (1 - spikes) + self.v_reset * spikes
        return spikes

    def forward(self, x):
        if self.backend != "torch":
            raise RuntimeError("the kernels of this backend need a GPU")
        return torch.stack([self.step(current) for current in x])


class LIFNode(MultiStepLIFNode):
    """SpikingJelly 0.0.0.0.14 to 2.x: the mode of steps is an attribute."""

    def __init__(self, *args, step_mode="s", **kwargs):
        super().__init__(*args, **kwargs)
        self.step_mode = step_mode

    def forward(self, x):
        return self.step(x) if self.step_mode == "s" else super().forward(x)


class IFNode(LIFNode):
    """Without a leak."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        del self.tau, self.decay_input

    def charge(self, x):
        return self.v + x


class ParametricLIFNode(LIFNode):
    """With a learned leak."""

    def __init__(self, init_tau=2.0, **kwargs):
        super().__init__(**kwargs)
        del self.tau
        self.w = nn.Parameter(-torch.log(torch.tensor(init_tau - 1.0)))

    def charge(self, x):
        leak = self.w.sigmoid()
        return self.v + (x - self.v) * leak if self.decay_input else self.v * (1 - leak) + x


class Leaky(nn.Module):
    """Neurons of snnTorch: one step a call, the membrane potential goes in and out.

    The reset comes one step late, before the leak, so that the spikes are those of a reset at once.
    """

    def __init__(
        self, beta, threshold=1.0, reset_mechanism="subtract", init_hidden=False, output=False
    ):
        super().__init__()
        self.register_buffer("beta", torch.tensor(beta))
        self.register_buffer("threshold", torch.tensor(threshold))
        self.reset_mechanism, self.init_hidden, self.output = reset_mechanism, init_hidden, output
        self.inhibition = self.state_quant = False
        self.graded_spikes_factor = 1.0
        self.mem = torch.zeros(0)

    def init_leaky(self):
        return torch.zeros(0)

    def forward(self, current, mem=None):
        mem = self.mem if mem is None else mem
        mem = mem if mem.shape == current.shape else torch.zeros_like(current)
        late = (mem > self.threshold).to(current)
        if self.reset_mechanism == "zero":
            mem = self.beta * mem * (1 - late) + current
        else:
            mem = self.beta * mem + current - late * self.threshold
        spikes = (mem > self.threshold).to(current)
        self.mem = mem
        return spikes if self.init_hidden and not self.output else (spikes, mem)
