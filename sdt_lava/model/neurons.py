"""The spiking neuron of the network: SLAYER's CUBA neuron, set up as a plain LIF."""

from __future__ import annotations

from typing import Any

import torch

from sdt_lava.model._slayer import slayer
from sdt_lava.model.dynamics import HalvingIntegrator, fits_float32

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

    def _forget(self) -> None:
        self.shape = None
        self.num_neurons = None
        self.current_state = self.voltage_decay.new_zeros(1)
        self.voltage_state = self.voltage_decay.new_zeros(1)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Save nothing: the decays are not learned."""

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        """Expect nothing."""
