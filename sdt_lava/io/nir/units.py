"""The integer neuron as a differential equation, and back.

NIR's neuron is continuous in time, ``tau dv/dt = (v_leak - v) + R I``. Euler's method with a step
dt makes it ``v <- v (1 - dt/tau) + (dt/tau) (v_leak + R I)``. The integer neuron is, in units of an
activation and without its rounding, ``v <- v (1 - dv/4096) + u + bias``. The two are the same for

    tau = dt 4096 / dv,    R = tau / dt,    v_leak = R bias,    v_threshold = threshold.

The current of CubaLIF follows in the same way, with ``tau_syn = dt 4096 / du`` and
``w_in = tau_syn / dt``. Both fire above their threshold and are reset to 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.ir.numerics import DECAY_UNITY

# Time step in seconds of the published conversions (NIR's repository, Lava among them).
DEFAULT_DT = 1e-4
# NIR has no CubaLIF without leak: a time constant of so many steps leaks less than float64 can
# resolve.
_ENDLESS = 2.0**60
# Version of the metadata that make a NIR graph exact; see docs/nir.md.
FORMAT_KEY, FORMAT_VERSION = "sdt_lava", 1


def steps_of(decay: Any) -> NDArray[np.float64]:
    """Return the time constants of decays, in time steps."""
    decays = np.asarray(decay, np.float64)
    return np.where(decays > 0, DECAY_UNITY / np.maximum(decays, 1), _ENDLESS)


def shares_of(tau: NDArray[np.float64], dt: float) -> Any:
    """Return the shares that time constants lose in a step."""
    return dt / tau


def decays_of(shares: Any) -> Any:
    """Return the decays nearest to shares that are lost in a step, in 1/4096."""
    return np.rint(DECAY_UNITY * np.asarray(shares, np.float64))
