"""Test whether neurons behave as their attributes specify.

Library versions differ, and users may modify classes. A copy of each neuron is therefore run once
on random currents and compared with the equation.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from sdt_lava.errors import TraceError
from sdt_lava.importers.tracing.neurons import FIRST, LAST, STEPWISE, Neuron
from sdt_lava.ir.numerics import DECAY_UNITY

_STEPS, _CELLS = 12, 64
# Voltages closer to the threshold than this fraction of it may be rounded to either side.
_CLOSE = 0.02


def check_neuron(module: nn.Module, neuron: Neuron, where: str) -> None:
    """Compare a neuron with its equation on currents that make it fire occasionally.

    Raises
    ------
    TraceError
        If they differ by more than rounding, or the neuron cannot be run.
    """
    currents = _currents(neuron)
    expected, is_sure = integrate(neuron, currents)
    try:
        with torch.no_grad():
            spikes = _run(_copied(module), neuron, currents)
    except Exception as error:
        raise TraceError(
            f"{where} ({type(module).__name__})",
            f"cannot be run by itself: {type(error).__name__}: {error}",
            "a neuron that can be copied and run on currents of any shape",
        ) from error
    differs = (spikes != expected) & is_sure
    if differs.any():
        step = int(differs.flatten(1).any(1).nonzero()[0])
        raise TraceError(
            f"{where} ({type(module).__name__})",
            f"spikes are not those of its attributes from step {step} on: {neuron}",
            "a leaky integrator with a hard reset to 0 in the step of the spike",
        )


def integrate(neuron: Neuron, currents: Tensor) -> tuple[Tensor, Tensor]:
    """Return the spikes of the equation, and where they do not depend on rounding, ``(T, ...)``."""
    factor_u = 1 - neuron.current_decay / DECAY_UNITY
    factor_v = 1 - neuron.voltage_decay / DECAY_UNITY
    state_u = torch.zeros_like(currents[0])
    voltage = torch.zeros_like(currents[0])
    sure = torch.ones_like(currents[0], dtype=torch.bool)
    spikes, certain = [], []
    for current in currents:
        state_u = factor_u * state_u + current
        voltage = factor_v * voltage + state_u
        sure = sure & ((voltage - neuron.threshold).abs() > _CLOSE * neuron.threshold)
        fired = voltage >= neuron.threshold
        voltage = voltage.masked_fill(fired, 0.0)
        spikes.append(fired)
        certain.append(sure)
    return torch.stack(spikes), torch.stack(certain)


def _currents(neuron: Neuron) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(_STEPS, 1, _CELLS, generator=generator)
    return neuron.threshold * (1.5 * noise - 0.25)


def _copied(module: nn.Module) -> nn.Module:
    # States left by a training run have a gradient history, and torch cannot copy such tensors.
    dictionaries = [module.__dict__, *(v for v in module.__dict__.values() if isinstance(v, dict))]
    states = [
        value for values in dictionaries for value in values.values() if isinstance(value, Tensor)
    ]
    history = {id(state): state.detach().clone() for state in states if not state.is_leaf}
    copied = deepcopy(module, history).eval()
    # Replacements by the tracer during tracing.
    for name in ("forward", "reset", "reset_mem"):
        copied.__dict__.pop(name, None)
    return copied


def _run(module: Any, neuron: Neuron, currents: Tensor) -> Tensor:
    _rest(module)
    if neuron.time == FIRST:
        spikes = module(currents)
    elif neuron.time == LAST:
        spikes = module(currents.movedim(0, -1)).movedim(-1, 0)
    else:
        assert neuron.time == STEPWISE
        spikes = torch.stack(_steps(module, neuron, currents))
    return spikes > 0


def _steps(module: Any, neuron: Neuron, currents: Tensor) -> list[Tensor]:
    spikes, membrane = [], None
    for current in currents:
        takes_back = neuron.returns_membrane and not getattr(module, "init_hidden", False)
        if takes_back and membrane is None:
            membrane = torch.zeros_like(current)
        returned = module(current, membrane) if takes_back else module(current)
        fired, membrane = returned if isinstance(returned, tuple) else (returned, None)
        spikes.append(fired)
    return spikes


def _rest(module: Any) -> None:
    """Reset the state of a copy, and select a backend that works on the CPU."""
    if getattr(module, "backend", "torch") != "torch":
        module.backend = "torch"
    if hasattr(module, "reset") and callable(module.reset):
        module.reset()
    # SLAYER's neurons keep the shape of their first input.
    if hasattr(module, "num_neurons"):
        module.shape, module.num_neurons = None, None
        for name in ("current_state", "voltage_state"):
            state = getattr(module, name, None)
            if isinstance(state, Tensor):
                setattr(module, name, torch.zeros_like(state).flatten()[:1])
    module.to(dtype=torch.float32, device="cpu")
