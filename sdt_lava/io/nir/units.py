"""Convert between the parameters of the integer neuron and of NIR's differential equations.

NIR's neuron is continuous in time, ``tau dv/dt = (v_leak - v) + R I``. Euler's method with step dt
gives ``v <- v (1 - dt/tau) + (dt/tau) (v_leak + R I)``. The integer neuron, in units of an
activation and without rounding, is ``v <- v (1 - dv/4096) + u + bias``. The two are equal for

    tau = dt 4096 / dv,    R = tau / dt,    v_leak = R bias,    v_threshold = threshold.

The same holds for the current of CubaLIF, with ``tau_syn = dt 4096 / du`` and
``w_in = tau_syn / dt``. Both neurons fire above their threshold and are reset to 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.ir.numerics import DECAY_UNITY

# Time step [s] of the published conversions (in NIR's repository, including Lava's).
DEFAULT_DT = 1e-4
# NIR has no CubaLIF without leak: with a time constant of this many steps, the leak is below the
# resolution of float64.
_ENDLESS = 2.0**60
# Version of the metadata that make a NIR graph exactly convertible; see docs/nir.md.
FORMAT_KEY, FORMAT_VERSION = "sdt_lava", 1


def steps_of(decay: Any) -> NDArray[np.float64]:
    """Return the time constants, in time steps, for decays in 1/4096."""
    decays = np.asarray(decay, np.float64)
    return np.where(decays > 0, DECAY_UNITY / np.maximum(decays, 1), _ENDLESS)


def shares_of(tau: NDArray[np.float64], dt: float) -> Any:
    """Return the fraction lost per step for each time constant."""
    return dt / tau


def decays_of(shares: Any) -> Any:
    """Return the nearest decays, in 1/4096, for fractions lost per step."""
    return np.rint(DECAY_UNITY * np.asarray(shares, np.float64))
