"""NIR's neurons with a time step: decays, thresholds and biases of a LIF of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from sdt_lava.errors import NirError
from sdt_lava.nir.units import decay_of
from sdt_lava.numerics import DECAY_UNITY

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class NeuronForm:
    """A population with membranes scaled so that the synaptic sum is added as it is.

    Parameters
    ----------
    voltage_decay, current_decay : int
        In 1/4096.
    threshold, bias : ndarray
        Of the scaled membrane: one value for each neuron, or a single one.
    losses : tuple of (float, int)
        Shares that are lost in a step, and the decays that they were rounded to.
    """

    voltage_decay: int
    current_decay: int
    threshold: FloatArray
    bias: FloatArray
    losses: tuple[tuple[float, int], ...]


def neuron_form(node: Any, name: str, shape: tuple[int, ...], dt: float) -> NeuronForm:
    """Return a neuron of NIR in the form that ours has.

    Parameters
    ----------
    node : nir.IF, nir.LIF or nir.CubaLIF
        The neurons.
    name : str
        Their name, for errors.
    shape : tuple of int
        Shape of the population.
    dt : float
        Time step [s].

    Raises
    ------
    NirError
        If a parameter is not finite, of another shape, out of range, or not the same for all
        neurons where ours have only one.
    """
    read = _Parameters(node, name, shape)
    if np.any(read.values("v_reset")):
        raise NirError(f"{name}: v_reset", "a reset to other values than 0", "0")
    form = _FORMS[type(node)](read, dt)
    if form.threshold.min() <= 0:
        raise NirError(f"{name}: v_threshold", str(form.threshold.min()), "above 0")
    return form


@dataclass(frozen=True)
class _Parameters:
    node: Any
    name: str
    shape: tuple[int, ...]

    def values(self, field: str) -> FloatArray:
        """Return a parameter in the population's shape, or a single value."""
        where = f"{self.name}: {field}"
        given = numbers(getattr(self.node, field), where)
        if given.size == 1:
            return given.reshape(())
        if given.shape != self.shape:
            raise NirError(where, f"shape {given.shape}", f"{self.shape}, as the neurons")
        return given

    def positive(self, field: str) -> FloatArray:
        """Return a parameter that must be above 0."""
        values = self.values(field)
        if values.min() <= 0:
            raise NirError(f"{self.name}: {field}", str(values.min()), "above 0")
        return values

    def lost(self, field: str, dt: float) -> float:
        """Return the share lost in a step, ``dt / tau``, the same for all neurons."""
        tau = self.positive(field)
        where = f"{self.name}: {field}"
        if np.ptp(tau):
            found = f"time constants from {tau.min():g} to {tau.max():g}"
            raise NirError(where, found, "one for the whole population", "split the population")
        share = dt / float(tau.flat[0])
        # As many time constants as steps lose everything at once: less than one step cannot be.
        if share > 1 + 1e-9:
            raise NirError(
                where, f"{tau.flat[0]:g} s, shorter than the step of {dt:g} s", f">= {dt:g} s",
                "pass a smaller dt",
            )  # fmt: skip
        return min(share, 1.0)


def numbers(values: Any, where: str) -> FloatArray:
    """Return finite float64 numbers.

    Raises
    ------
    NirError
        If they are something else.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "iufb":
            raise TypeError(f"type {array.dtype}")
        array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise NirError(where, f"no numbers ({str(error)[:80]})", "numbers") from error
    if not array.size or not np.isfinite(array).all():
        found = "NaN or infinity" if array.size else "an empty array"
        raise NirError(where, found, "finite numbers")
    return array


def _lif(read: _Parameters, dt: float) -> NeuronForm:
    share = read.lost("tau", dt)
    resistance = read.positive("r")
    decay = decay_of(share)
    return NeuronForm(
        voltage_decay=decay,
        current_decay=DECAY_UNITY,
        # The sum is added as it is to v / (share R).
        threshold=read.values("v_threshold") / (share * resistance),
        bias=read.values("v_leak") / resistance,
        losses=((share, decay),),
    )


def _integrate(read: _Parameters, dt: float) -> NeuronForm:
    return NeuronForm(
        voltage_decay=0,
        current_decay=DECAY_UNITY,
        threshold=read.values("v_threshold") / (dt * read.positive("r")),
        bias=np.zeros(()),
        losses=(),
    )


def _cuba(read: _Parameters, dt: float) -> NeuronForm:
    share, current_share = read.lost("tau_mem", dt), read.lost("tau_syn", dt)
    # What one unit of the sum adds to the current, and that to the membrane.
    gain = current_share * read.positive("w_in") * read.positive("r")
    decays = decay_of(share), decay_of(current_share)
    return NeuronForm(
        voltage_decay=decays[0],
        current_decay=decays[1],
        threshold=read.values("v_threshold") / (share * gain),
        bias=read.values("v_leak") / gain,
        losses=((share, decays[0]), (current_share, decays[1])),
    )


_FORMS: Mapping[type, Callable[[_Parameters, float], NeuronForm]] = {
    nir.IF: _integrate,
    nir.LIF: _lif,
    nir.CubaLIF: _cuba,
}
NEURONS = tuple(_FORMS)
