"""Accelerate the models of LIF, LIFReset and GradedVec."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.graded.models import PyGradedVecModelFixed
from lava.proc.graded.process import GradedVec
from lava.proc.lif.models import (
    AbstractPyLifModelFixed,
    PyLifModelBitAcc,
    PyLifResetModelBitAcc,
)
from lava.proc.lif.process import LIF, LIFReset

from sdt_lava.backends.lava.processes.accelerated.prepared import PreparedModel
from sdt_lava.backends.lava.processes.ports import Receiver
from sdt_lava.kernels.jit import resolved
from sdt_lava.kernels.populations import integrate, population_table, relay
from sdt_lava.support.allocation import placed, zeros

_INT32 = np.iinfo(np.int32)


class _LifStep(PreparedModel, AbstractPyLifModelFixed):
    """Time step of LIF and LIFReset."""

    def _prepare(self) -> None:
        self._receive = Receiver(self.a_in)
        if not self.isthrscaled:
            self.scale_threshold()
        self.scale_bias()
        self._spikes = zeros(self.u.shape, np.int32)
        remainders = (
            self.decay_unity - (np.asarray(self.du) + self.ds_offset),
            self.decay_unity - (np.asarray(self.dv) + self.dm_offset),
        )
        # Integers up to 4096; Lava also accepts other values.
        self._is_covered = all(
            values.dtype.kind in "iu" and values.min() >= 0 and values.max() <= self.decay_unity
            for values in remainders
        )
        # No voltage reaches a threshold outside the range of int32.
        threshold = np.clip(self.effective_vth, _INT32.min, _INT32.max)
        if self._is_covered:
            fields = [self._per_neuron(x) for x in (self.effective_bias, *remainders, threshold)]
            table = population_table([(self.u.size, fields)])
            self.__dict__.update(u=placed(self.u), v=placed(self.v))
            # These are views, so the variables remain the state.
            arrays = self.u, self.v, self._spikes
            current, voltage, spikes = (array.reshape(-1) for array in arrays)
            self._arguments = (current, voltage, table, spikes)
            self._integrate = resolved(integrate, spikes, *self._arguments)

    def _per_neuron(self, values: Any) -> Any:
        """Return one value for each neuron, or a single value if all are equal."""
        flat = np.broadcast_to(values, self.u.shape).reshape(-1)
        return flat[:1] if (flat == flat[:1]).all() else flat

    def _advance(self) -> Any:
        """Receive, integrate and return the spikes of this step; call `prepare` before."""
        activation = self._receive()
        if activation.dtype != np.int32 or not self._is_covered:
            return self._advance_by_lava(activation)
        self._integrate(np.ascontiguousarray(activation).reshape(-1), *self._arguments)
        return self._spikes

    def _advance_by_lava(self, activation: Any) -> Any:
        self.scale_bias()
        self.subthr_dynamics(activation_in=activation)
        spikes = self.spiking_activation()
        self.reset_voltage(spike_vector=spikes)
        return spikes


@implements(proc=LIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("accelerated")
class PyLifModelAccelerated(_LifStep, PyLifModelBitAcc):
    """Model of LIF, leaky integrate-and-fire neurons; gates are LIF without memory."""

    def run_spk(self) -> None:
        """Advance by one step and send the spikes."""
        self.prepare()
        self.s_out.send(self._advance())


@implements(proc=LIFReset, protocol=LoihiProtocol)
@requires(CPU)
@tag("accelerated")
class PyLifResetModelAccelerated(_LifStep, PyLifResetModelBitAcc):
    """Model of LIFReset, LIF neurons that are reset at the start of each sample."""

    def run_spk(self) -> None:
        """Reset if due, advance by one step and send the spikes."""
        self.prepare()
        if self.time_step % self.reset_interval == self.reset_offset:
            self.u.fill(0)
            self.v.fill(0)
        self.s_out.send(self._advance())


@implements(proc=GradedVec, protocol=LoihiProtocol)
@requires(CPU)
@tag("accelerated")
class PyGradedVecModelAccelerated(PreparedModel, PyGradedVecModelFixed):
    """Model of GradedVec, neurons that send their sum as a graded spike."""

    def run_spk(self) -> None:
        """Receive sums and send those above the threshold."""
        self.prepare()
        activation = self._receive()
        if activation.dtype != np.int32 or self._threshold is None:
            self.v += activation
            payload = self.v * (np.abs(self.v) > self.vth)
            self.v[:] = 0
            self.s_out.send(payload)
            return
        flat = self._payload.reshape(-1)
        relay(activation.reshape(-1), self.v.reshape(-1), self._threshold, flat)
        self.s_out.send(self._payload)

    def _prepare(self) -> None:
        self._receive = Receiver(self.a_in)
        self._payload = zeros(self.v.shape, np.int32)
        # Lava also accepts one threshold for each neuron.
        self._threshold = int(self.vth.item()) if self.vth.size == 1 else None
