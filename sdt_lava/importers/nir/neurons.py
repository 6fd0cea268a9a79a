"""Discretise NIR neurons: compute decays, thresholds and biases of `Lif` for a time step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import nir
import numpy as np

from sdt_lava.errors import NirError
from sdt_lava.importers.nir.layers import fitted
from sdt_lava.io.nir.units import decays_of, shares_of
from sdt_lava.io.nir.values import FloatArray, numbers
from sdt_lava.ir.numerics import DECAY_UNITY, THRESHOLD_LIMIT

# Relative difference below which a rounded decay only corrects a float32 rounding error.
_FLOAT32 = 1e-6
# If r of an IF is at least this, it may be 1/dt with another dt.
_STEPS_A_SECOND = 50.0


@dataclass(frozen=True)
class NeuronForm:
    """Parameters of a population whose membranes are scaled so that the synaptic sum has factor 1.

    All arrays broadcast over the population; a single value has no axes.

    Parameters
    ----------
    voltage_decay, current_decay : ndarray
        Integer decays in 1/4096.
    threshold, bias : ndarray
        Threshold and bias of the scaled membrane; the threshold is infinite if neurons never fire.
    gain : ndarray or None
        Ratio of NIR's membrane to the scaled one, for neurons whose membrane is the result.
    notes : tuple of str
        Notes about rounding.
    """

    voltage_decay: FloatArray
    current_decay: FloatArray
    threshold: FloatArray
    bias: FloatArray
    gain: FloatArray | None = None
    notes: tuple[str, ...] = ()

    @property
    def remembers(self) -> bool:
        """Whether any current has memory."""
        return bool((self.current_decay != DECAY_UNITY).any())


def neuron_form(
    node: Any, name: str, shape: tuple[int, ...], dt: float, *, integers: bool = False
) -> NeuronForm:
    """Convert NIR neurons to the parameters of ours.

    Parameters
    ----------
    node : nir.IF, nir.LIF, nir.CubaLIF, nir.LI, nir.CubaLI or nir.Threshold
        The neurons.
    name : str
        Name of the neurons, for errors.
    shape : tuple of int
        Shape of the population.
    dt : float
        Time step [s].
    integers : bool
        Whether the neurons are integer neurons, whose threshold may be 0.

    Raises
    ------
    NirError
        If a parameter is not finite, has the wrong shape or is out of range.
    """
    parameters = _Parameters(node, name, shape)
    reset = getattr(node, "v_reset", None)
    # Programs write resets to 0 by default, so their shape is not significant.
    if reset is not None and np.any(values := numbers(reset, f"{name}: v_reset")):
        found = f"a reset to {values.flat[np.argmax(np.abs(values))]:g}"
        raise NirError(f"{name}: v_reset", found, "0: neurons here restart at 0")
    form = _FORMS[type(node)](parameters, dt)
    if form.gain is not None:
        return _silent(form, integers)
    lowest = form.threshold.min()
    if lowest < 0 or (lowest == 0 and not integers):
        field = "threshold" if isinstance(node, nir.Threshold) else "v_threshold"
        found = f"{np.min(parameters.values(field)):g}"
        remedy = "a neuron that fires at rest has no counterpart here"
        raise NirError(f"{name}: {field}", found, "above 0", remedy)
    return form


@dataclass(frozen=True)
class _Parameters:
    node: Any
    name: str
    shape: tuple[int, ...]

    def values(self, field: str) -> FloatArray:
        """Return a parameter, reshaped to broadcast over the population."""
        where = f"{self.name}: {field}"
        return fitted(numbers(getattr(self.node, field), where), self.shape, where)

    def positive(self, field: str) -> FloatArray:
        """Return a parameter that must be positive."""
        values = self.values(field)
        if values.min() <= 0:
            raise NirError(f"{self.name}: {field}", f"{values.min():g}", "above 0")
        return values

    def lost(self, field: str, dt: float) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
        """Return the decay in 1/4096, the exact or rounded fraction, and notes about rounding.

        The same rounded number is used everywhere in the neuron's equation. If it rounds to 0,
        there is no leak, and the exact fraction scales the drive.
        """
        tau = self.positive(field)
        where = f"{self.name}: {field}"
        exact = shares_of(tau, dt)
        decays = decays_of(exact)
        if decays.max() > DECAY_UNITY:
            # A time constant below one step would lose more than everything, so one step is the
            # minimum.
            raise NirError(
                where, f"{tau.min():g} s, shorter than the step of {dt:g} s", f">= {dt:g} s",
                f"pass a smaller dt (at most --dt {_rounded_down(float(tau.min()))}); Norse 1.1 "
                "writes dt * tau, so that its files take its dt squared (--dt 1e-06 for 0.001)",
            )  # fmt: skip
        shares = np.where(decays > 0, decays / DECAY_UNITY, exact)
        notes = tuple(
            f"{self.name}: dt/{'tau' if field == 'tau' else field} = {share:.6g} "
            f"rounded to {decay:.0f}/{DECAY_UNITY}"
            for share, decay in _rounded(exact, decays)
        )
        return decays, shares, notes


def _rounded(exact: FloatArray, decays: FloatArray) -> list[tuple[float, float]]:
    """Return the fraction and decay with the largest rounding error; empty if none is rounded."""
    rounded_pairs = {
        (float(share), float(decay))
        for share, decay in zip(exact.ravel(), decays.ravel(), strict=True)
        if abs(share * DECAY_UNITY - decay) > _FLOAT32 * max(decay, 1.0)
    }
    by_error = sorted(rounded_pairs, key=lambda pair: -abs(pair[0] * DECAY_UNITY - pair[1]))
    return by_error[:1]


def _rounded_down(seconds: float) -> str:
    return f"{seconds:.3g}" if float(f"{seconds:.3g}") <= seconds * 1.0001 else f"{seconds:.6g}"


def step_gain(read: _Parameters, dt: float) -> tuple[FloatArray, tuple[str, ...]]:
    """Return the change of an integrator per unit of current and step.

    NIR's equation has no time constant here, and most programs use the step as the unit of time, so
    that r = 1 adds the current unscaled. SpikingJelly and earlier versions of sdt-lava write 1/dt
    instead.
    """
    gain = read.positive("r")
    if np.allclose(gain * dt, 1.0, rtol=_FLOAT32, atol=0):
        return np.ones(()), ()
    if gain.min() < _STEPS_A_SECOND:
        return gain, ()
    found = f"{read.name}: r = {gain.max():g} is taken a step; if it is 1/dt, pass --dt "
    return gain, (f"{found}{1 / gain.max():g}",)


def integrator_gain(
    node: nir.I, name: str, shape: tuple[int, ...], dt: float
) -> tuple[FloatArray, tuple[str, ...]]:
    """Return the change per unit of current of an integrator without a threshold, and notes."""
    return step_gain(_Parameters(node, name, shape), dt)


def _leaky(read: _Parameters, dt: float) -> NeuronForm:
    decay, share, notes = read.lost("tau", dt)
    resistance = read.positive("r")
    return NeuronForm(
        voltage_decay=decay,
        current_decay=np.full((), float(DECAY_UNITY)),
        threshold=np.full((), np.inf),
        bias=read.values("v_leak") / resistance,
        # The sum is added unscaled to v / (share R).
        gain=share * resistance,
        notes=notes,
    )


def _integrate(read: _Parameters, dt: float) -> NeuronForm:
    gain, notes = step_gain(read, dt)
    return NeuronForm(
        voltage_decay=np.zeros(()),
        current_decay=np.full((), float(DECAY_UNITY)),
        threshold=read.values("v_threshold") / gain,
        bias=np.zeros(()),
        notes=notes,
    )


def _leaky_current(read: _Parameters, dt: float) -> NeuronForm:
    decay, share, notes = read.lost("tau_mem", dt)
    current_decay, current_share, more = read.lost("tau_syn", dt)
    # Change of the current per unit of the sum, and of the membrane per unit of current.
    gain = current_share * read.positive("w_in") * read.positive("r")
    return NeuronForm(
        voltage_decay=decay,
        current_decay=current_decay,
        threshold=np.full((), np.inf),
        bias=read.values("v_leak") / gain,
        gain=share * gain,
        notes=(*notes, *more),
    )


def _firing(
    integrators: Callable[[_Parameters, float], NeuronForm],
) -> Callable[[_Parameters, float], NeuronForm]:
    """Return the parameters of leaky integrators that fire above a threshold."""

    def form(read: _Parameters, dt: float) -> NeuronForm:
        leaky = integrators(read, dt)
        threshold = read.values("v_threshold") / np.asarray(leaky.gain)
        return replace(leaky, threshold=threshold, gain=None)

    return form


def _silent(form: NeuronForm, integers: bool) -> NeuronForm:
    """Return the parameters of neurons that never fire; for integers, the threshold is maximal."""
    if not integers:
        return form
    return replace(form, threshold=THRESHOLD_LIMIT / np.asarray(form.gain))


def _threshold(read: _Parameters, dt: float) -> NeuronForm:
    """Return the parameters of neurons without memory: only the current sum is compared."""
    return NeuronForm(
        voltage_decay=np.full((), float(DECAY_UNITY)),
        current_decay=np.full((), float(DECAY_UNITY)),
        threshold=read.values("threshold"),
        bias=np.zeros(()),
    )


_FORMS: Mapping[type, Callable[[_Parameters, float], NeuronForm]] = {
    nir.IF: _integrate,
    nir.LIF: _firing(_leaky),
    nir.CubaLIF: _firing(_leaky_current),
    nir.Threshold: _threshold,
    nir.LI: _leaky,
    nir.CubaLI: _leaky_current,
}
# Leaky integrators never fire.
LEAKY = (nir.LI, nir.CubaLI)
NEURONS = tuple(kind for kind in _FORMS if kind not in LEAKY)
