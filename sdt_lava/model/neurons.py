"""The spiking neurons of the network: SLAYER's CUBA set up as a plain LIF, and the authors'."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from sdt_lava.model._slayer import slayer
from sdt_lava.model.config import SdtConfig
from sdt_lava.model.dynamics import FloatIntegrator, HalvingIntegrator, fits_float32
from sdt_lava.numerics import DECAY_UNITY

# Leaky integrator of Yao et al. (tau = 2, decayed input, hard reset to 0) in the doubled variable
# v' = 2h:  v' <- v'/2 + x,  spike at v' > 2 v_th.  A current decay of 1 forgets the synaptic
# current after each step, so that the current is the input.
CURRENT_DECAY = 1.0
VOLTAGE_DECAY = 0.5
# Surrogate gradient. SLAYER's defaults (1 and 1) nearly vanish after a few layers.
TAU_GRAD = 0.005
SCALE_GRAD = 10.0
# States are integer multiples of 1 / (64 * SCALE), thresholds of 1 / SCALE.
SCALE = 64
# Units of SLAYER's surrogate (TAU_RHO_MULT and SCALE_RHO_MULT of its CUBA neuron).
_TAU_UNIT = 100
_SCALE_UNIT = 0.1


class Lif(slayer.neuron.cuba.Neuron):
    """Leaky integrate-and-fire neuron without memory between calls.

    SLAYER remembers the shape of its first input and keeps buffers of the size of a batch; both
    are dropped after each call here, so that any batch, image size and number of steps may follow
    any other. The decays are constants of the architecture and are kept out of the state dict,
    whose keys are then those of the published checkpoints.

    Parameters
    ----------
    v_th : float
        Firing threshold of the paper's variable ``h``; the neuron's own is twice as large.
    fires_at_threshold : bool
        Also spike when the voltage equals the threshold (to within one level, 1/64).
    """

    def __init__(self, v_th: float, *, fires_at_threshold: bool = False) -> None:
        threshold = 2.0 * v_th
        if fires_at_threshold:
            # SLAYER spikes strictly above its threshold, the paper at it. Where the input is an
            # integer count the difference is not a matter of rounding, it decides: a count of 1
            # lands exactly on 2 * 0.5. One level lower makes the interval half-open.
            threshold -= 1.0 / SCALE
        super().__init__(
            threshold=threshold,
            current_decay=CURRENT_DECAY,
            voltage_decay=VOLTAGE_DECAY,
            tau_grad=TAU_GRAD,
            scale_grad=SCALE_GRAD,
            scale=SCALE,
            persistent_state=False,
            requires_grad=False,
        )

    def forward(self, current: torch.Tensor) -> torch.Tensor:
        """Return the spikes, 0 or 1.

        Parameters
        ----------
        current : Tensor
            Input of shape ``(B, C, H, W, T)`` or ``(B, C, T)``, time last.

        Returns
        -------
        Tensor
            Spikes of the same shape.
        """
        self._forget()
        try:
            spikes: torch.Tensor = super().forward(current)
        finally:
            self._forget()
        return spikes

    def dynamics(self, current: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return current and voltage, as SLAYER does, by the faster of two equal ways."""
        if current.is_cuda or not fits_float32(current, self.s_scale):
            slow: tuple[torch.Tensor, torch.Tensor] = super().dynamics(current)
            return slow
        threshold = self.threshold + self.threshold_eps
        return current, HalvingIntegrator.apply(current, threshold, self.s_scale)

    @property
    def decays(self) -> tuple[int, int]:
        """Lost share of voltage and current per step, in 1/4096."""
        return int(self.cx_voltage_decay), int(self.cx_current_decay)

    def _forget(self) -> None:
        self.shape = None
        self.num_neurons = None
        self.current_state = self.voltage_decay.new_zeros(1)
        self.voltage_state = self.voltage_decay.new_zeros(1)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Save nothing: the decays are not learned."""

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        """Expect nothing."""


class FloatLif(nn.Module):
    """The neuron of the published networks, in plain float32.

    ``h <- v + (x - v) / 2``, a spike where ``h >= v_th``, and ``v = 0`` after one. Nothing is
    rounded to hardware levels, so that networks trained elsewhere spike as they did there. The
    surrogate gradient is that of `Lif`.

    Parameters
    ----------
    v_th : float
        Firing threshold.
    """

    decays = (round(VOLTAGE_DECAY * DECAY_UNITY), round(CURRENT_DECAY * DECAY_UNITY))

    def __init__(self, v_th: float) -> None:
        super().__init__()
        self.v_th = v_th

    def forward(self, current: torch.Tensor) -> torch.Tensor:
        """Return the spikes, 0 or 1; shapes as in `Lif.forward`."""
        threshold = 2.0 * self.v_th
        # What SLAYER makes of TAU_GRAD and SCALE_GRAD before it uses them.
        width = TAU_GRAD * threshold * _TAU_UNIT
        height = SCALE_GRAD * _SCALE_UNIT
        voltage = FloatIntegrator.apply(current, self.v_th)
        spikes: torch.Tensor = slayer.spike.Spike.apply(
            voltage, threshold, width, height, False, 0, 1
        )
        return spikes

    def extra_repr(self) -> str:
        """Show the threshold."""
        return f"v_th={self.v_th}"


def make_lif(config: SdtConfig) -> nn.Module:
    """Return the neuron that a configuration asks for, with its ordinary threshold."""
    if config.neuron == "lif":
        return FloatLif(config.threshold)
    neuron: nn.Module = Lif(config.threshold)
    return neuron


def make_attention_lif(config: SdtConfig) -> nn.Module:
    """Return the neuron over the token sum, which fires at its threshold whatever its kind."""
    if config.neuron == "lif":
        return FloatLif(config.attention_threshold)
    neuron: nn.Module = Lif(config.attention_threshold, fires_at_threshold=True)
    return neuron
