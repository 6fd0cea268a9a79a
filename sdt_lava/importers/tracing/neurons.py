"""Recognise spiking neurons of several libraries by class and attributes.

None of the libraries is imported. These names are the same in SpikingJelly 0.0.0.0.12 to 2.x,
snnTorch and lava-dl's SLAYER, so a network of any of them can be traced wherever it can be loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, isfinite
from typing import Any

import numpy as np
import torch
from torch import nn

from sdt_lava.errors import TraceError
from sdt_lava.ir.numerics import DECAY_UNITY

# Representation of time: first axis, last axis, or one step per call.
FIRST, LAST, STEPWISE = "first", "last", "stepwise"


@dataclass(frozen=True)
class Neuron:
    """Leaky integrator with a hard reset to 0, in the variables of the graph.

    ``u <- u (1 - du / 4096) + x``, ``v <- v (1 - dv / 4096) + u``, a spike at the threshold, then
    ``v = 0``.

    Parameters
    ----------
    threshold : float
        Firing threshold of ``v``.
    voltage_decay, current_decay : int
        Fractions of v and u lost per step, in 1/4096.
    time : {'first', 'last', 'stepwise'}
        Position of time in the module's input.
    keeps_state : bool
        Whether a call continues from the state after the previous one.
    is_strict : bool
        Whether neurons fire only above the threshold, not at it.
    returns_membrane : bool
        Whether the module returns spikes and membrane potentials.
    note : str
        Note about rounding.
    """

    threshold: float
    voltage_decay: int
    current_decay: int = DECAY_UNITY
    time: str = FIRST
    keeps_state: bool = True
    is_strict: bool = False
    returns_membrane: bool = False
    note: str = ""


class Refusal(Exception):
    """Attribute of a neuron that the integer neuron does not support."""

    def __init__(self, attribute: str, found: object, allowed: str, remedy: str = "") -> None:
        super().__init__(attribute)
        self.attribute, self.found = attribute, found
        self.allowed, self.remedy = allowed, remedy


Reader = Callable[[Any], Neuron]


def neuron_of(module: nn.Module, where: str) -> Neuron | None:
    """Return the neuron that a module computes, or None if it is not a spiking neuron.

    Raises
    ------
    TraceError
        If the integer neuron does not support an attribute; the error names it.
    """
    entry = _known(module)
    if entry is None:
        return None
    _, reader = entry
    try:
        if reader is not _unknown:
            _check_class(module)
        return reader(module)
    except Refusal as refusal:
        raise TraceError(
            f"{where} ({type(module).__name__})",
            f"{refusal.attribute} = {refusal.found}",
            refusal.allowed,
            refusal.remedy,
        ) from None


def is_neuron(module: nn.Module) -> bool:
    """Return whether a module is a spiking neuron of a known library."""
    return _known(module) is not None


def _known(module: nn.Module) -> tuple[str, Reader] | None:
    for kind in type(module).__mro__:
        reader = _TABLE.get(kind.__name__)
        if reader and all(hasattr(module, mark) for mark in _MARKS[kind.__name__]):
            return kind.__name__, reader
    return None


# Methods that a derived class may override to change a neuron's behaviour.
_METHODS = (
    "forward",
    "neuronal_charge",
    "neuronal_fire",
    "neuronal_reset",
    "single_step_forward",
    "multi_step_forward",
    "dynamics",
    "spike",
    "fire",
)


def _check_class(module: nn.Module) -> None:
    """Raise `Refusal` if a derived class overrides methods, whose behaviour is unknown."""
    for kind in type(module).__mro__:
        if kind.__name__ in _TABLE:
            return
        overridden = [method for method in _METHODS if method in vars(kind)]
        if overridden:
            raise Refusal(overridden[0], f"a method of {kind.__name__}", "the library's own method")


def _number(module: Any, attribute: str) -> float:
    """Return an attribute that must have a single value."""
    value = getattr(module, attribute)
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().double().numpy()
    values = np.unique(np.asarray(value, np.float64))
    if values.size != 1 or not isfinite(values[0]):
        description = "nothing" if not values.size else f"{values.size} values"
        raise Refusal(
            attribute, description if values.size != 1 else values[0], "one finite number"
        )
    return float(values[0])


def _threshold(module: Any, attribute: str) -> float:
    threshold = _number(module, attribute)
    if threshold <= 0:
        raise Refusal(attribute, threshold, "above 0")
    return threshold


def _decay(lost: float, attribute: str, value: float) -> tuple[int, str]:
    """Round a decay to a multiple of 1/4096."""
    if not 0 <= lost <= 1:
        raise Refusal(attribute, value, "a leak of 0 to 1 a step")
    rounded = round(lost * DECAY_UNITY)
    exact = abs(rounded - lost * DECAY_UNITY) < 1e-3
    note = "" if exact else f"{attribute} = {value:g} leaks {rounded}/{DECAY_UNITY} a step"
    return rounded, note


def _spikingjelly(module: Any, leak: Callable[[Any], tuple[str, float, float]]) -> Neuron:
    """Read SpikingJelly's neuron: ``v <- v (1 - leak) + x``, or ``leak * x`` with decay_input."""
    v_reset = getattr(module, "v_reset", 0.0)
    if v_reset is None:
        raise Refusal("v_reset", None, "0: a hard reset", "train with v_reset=0.0")
    if _number(module, "v_reset") != 0:
        raise Refusal("v_reset", v_reset, "0", "move threshold and reset so that the reset is 0")
    threshold = _threshold(module, "v_threshold")
    attribute, value, leak_share = leak(module)
    decay, note = _decay(leak_share, attribute, value)
    if getattr(module, "decay_input", attribute != "") and leak_share:
        threshold /= leak_share
    return Neuron(threshold, decay, time=_time(module), note=note)


def _time(module: Any) -> str:
    mode = getattr(module, "step_mode", None)
    if mode not in (None, "s", "m"):
        raise Refusal("step_mode", repr(mode), "'s' or 'm'")
    if mode is None:
        return FIRST if type(module).__name__.startswith("MultiStep") else STEPWISE
    return FIRST if mode == "m" else STEPWISE


def _tau(module: Any) -> tuple[str, float, float]:
    tau = _number(module, "tau")
    if tau < 1:
        raise Refusal("tau", tau, "1 or more")
    return "tau", tau, 1 / tau


def _learned_tau(module: Any) -> tuple[str, float, float]:
    value = _number(module, "w")
    return "w", value, 1 / (1 + exp(-value))


def _no_leak(module: Any) -> tuple[str, float, float]:
    return "", 0.0, 0.0


def _leaky(module: Any) -> Neuron:
    """Read snnTorch's Leaky: ``v <- beta v + x``."""
    mechanism = getattr(module, "reset_mechanism", "subtract")
    if mechanism != "zero":
        raise Refusal("reset_mechanism", repr(mechanism), "'zero'", "train with a reset to zero")
    for attribute in ("inhibition", "state_quant"):
        if getattr(module, attribute, False):
            raise Refusal(attribute, getattr(module, attribute), "False")
    if getattr(module, "graded_spikes_factor", 1.0) != 1:
        raise Refusal("graded_spikes_factor", module.graded_spikes_factor, "1: binary spikes")
    beta = min(max(_number(module, "beta"), 0.0), 1.0)
    decay, note = _decay(1 - beta, "beta", beta)
    hidden = bool(getattr(module, "init_hidden", False)) and not getattr(module, "output", False)
    return Neuron(
        _threshold(module, "threshold"),
        decay,
        time=STEPWISE,
        is_strict=True,
        returns_membrane=not hidden,
        note=note,
    )


def _slayer(module: Any) -> Neuron:
    """Read SLAYER's CUBA neuron, whose decays are already in 1/4096."""
    for attribute in ("norm", "graded_spike"):
        value = getattr(module, attribute, None)
        if value is not None and value is not False:
            raise Refusal(attribute, type(value).__name__, "None")
    if getattr(module, "complex", False):
        raise Refusal("complex", True, "False")
    return Neuron(
        _threshold(module, "threshold"),
        round(_number(module, "cx_voltage_decay")),
        round(_number(module, "cx_current_decay")),
        time=LAST,
        keeps_state=bool(getattr(module, "persistent_state", False)),
        is_strict=True,
    )


def _ours(module: Any) -> Neuron:
    """Read a neuron of our own models, whose membrane is half the graph's variable."""
    voltage_decay, current_decay = module.decays
    # If neurons fire at the threshold, it is lowered by one level.
    is_strict = getattr(module, "threshold", 0.0) >= 2 * module.v_th
    return Neuron(
        2 * _threshold(module, "v_th"),
        voltage_decay,
        current_decay,
        time=LAST,
        keeps_state=False,
        is_strict=is_strict,
    )


def _lif_node(module: Any) -> Neuron:
    return _spikingjelly(module, _tau)


def _parametric_node(module: Any) -> Neuron:
    return _spikingjelly(module, _learned_tau)


def _if_node(module: Any) -> Neuron:
    return _spikingjelly(module, _no_leak)


def _unknown(module: Any) -> Neuron:
    raise Refusal("class", type(module).__name__, "LIFNode, IFNode, ParametricLIFNode")


_TABLE: dict[str, Reader] = {
    "LIFNode": _lif_node,
    "MultiStepLIFNode": _lif_node,
    "IFNode": _if_node,
    "MultiStepIFNode": _if_node,
    "ParametricLIFNode": _parametric_node,
    "MultiStepParametricLIFNode": _parametric_node,
    # Base class of all other SpikingJelly neurons.
    "BaseNode": _unknown,
    "Leaky": _leaky,
    # Base class of snnTorch's neurons.
    "SpikingNeuron": _unknown,
    "Neuron": _slayer,
    "Lif": _ours,
    "FloatLif": _ours,
}
# Attributes that distinguish a class from others of the same name.
_MARKS: dict[str, tuple[str, ...]] = {
    "LIFNode": ("v_threshold", "tau"),
    "MultiStepLIFNode": ("v_threshold", "tau"),
    "IFNode": ("v_threshold",),
    "MultiStepIFNode": ("v_threshold",),
    "ParametricLIFNode": ("v_threshold", "w"),
    "MultiStepParametricLIFNode": ("v_threshold", "w"),
    "BaseNode": ("v_threshold", "v_reset"),
    "Leaky": ("beta", "threshold"),
    "SpikingNeuron": ("threshold", "reset_mechanism"),
    "Neuron": ("cx_current_decay", "cx_voltage_decay", "threshold"),
    "Lif": ("v_th", "decays"),
    "FloatLif": ("v_th", "decays"),
}
