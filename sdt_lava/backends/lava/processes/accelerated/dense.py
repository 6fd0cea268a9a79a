"""Accelerate the models of Dense and DelayDense."""

from __future__ import annotations

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.dense.models import PyDelayDenseModelBitAcc, PyDenseModelBitAcc
from lava.proc.dense.process import DelayDense, Dense

from sdt_lava.backends.lava.processes.accelerated.connection import (
    DelayedConnection,
    PlainConnection,
)
from sdt_lava.backends.lava.processes.propagation import Propagate, propagate_weights, rounded


@implements(proc=Dense, protocol=LoihiProtocol)
@requires(CPU)
@tag("accelerated")
class PyDenseModelAccelerated(PlainConnection, PyDenseModelBitAcc):
    """Model of Dense."""

    def _make_tables(self) -> None:
        propagate = propagate_weights(self.weights, self.weight_exp, self._graded)
        self._propagate = rounded(propagate, self.weight_exp, self.weights.shape[0])


@implements(proc=DelayDense, protocol=LoihiProtocol)
@requires(CPU)
@tag("accelerated")
class PyDelayDenseModelAccelerated(DelayedConnection, PyDelayDenseModelBitAcc):
    """Model of DelayDense."""

    def _make_tables(self) -> None:
        super()._make_tables()
        outputs, columns = self.a_buff.shape
        self._by_delay = [
            (int(delay), rounded(self._of_delay(delay), self.weight_exp, outputs, np.int64))
            for delay in np.unique(self.delays)
            if 0 <= delay < columns
        ]

    def _of_delay(self, delay: int) -> Propagate:
        # Lava also multiplies in 32 bits here, but sums the products in 64 bits.
        weights = np.where(self.delays == delay, self.weights, 0)
        return propagate_weights(weights, self.weight_exp, self._graded)
