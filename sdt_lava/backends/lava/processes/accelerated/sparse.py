"""Accelerate the models of Sparse and DelaySparse."""

from __future__ import annotations

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.sparse.models import PyDelaySparseModelBitAcc, PySparseModelBitAcc
from lava.proc.sparse.process import DelaySparse, Sparse
from scipy.sparse import csr_matrix

from sdt_lava.backends.lava.processes.accelerated.connection import (
    DelayedConnection,
    PlainConnection,
)
from sdt_lava.backends.lava.processes.propagation import propagate_matrix, rounded


@implements(proc=Sparse, protocol=LoihiProtocol)
@requires(CPU)
@tag("accelerated")
class PySparseModelAccelerated(PlainConnection, PySparseModelBitAcc):
    """Model of Sparse."""

    def _make_tables(self) -> None:
        propagate = propagate_matrix(self.weights, self.weight_exp, self._graded)
        self._propagate = rounded(propagate, self.weight_exp, self.weights.shape[0])


@implements(proc=DelaySparse, protocol=LoihiProtocol)
@requires(CPU)
@tag("accelerated")
class PyDelaySparseModelAccelerated(DelayedConnection, PyDelaySparseModelBitAcc):
    """Model of DelaySparse; Lava sorts synapses by delay in every step, this model once."""

    def _make_tables(self) -> None:
        super()._make_tables()
        outputs, columns = self.a_buff.shape
        exponent = self.weight_exp
        self._by_delay = [
            (delay, rounded(propagate_matrix(part, exponent, self._graded), exponent, outputs))
            for delay, part in split_by_delay(self.weights, self.delays, columns - 1)
        ]


def split_by_delay(
    weights: csr_matrix, delays: csr_matrix, max_delay: int
) -> list[tuple[int, csr_matrix]]:
    """Split a matrix by delay; synapses without an entry in the matrix of delays have delay 0.

    Parameters
    ----------
    weights, delays : csr_matrix
        Matrices ``(outputs, inputs)``.
    max_delay : int
        Longest delay. Synapses with longer delays are dropped, as in Lava.
    """
    entries = weights.tocoo()
    if not entries.nnz:
        return []
    entry_delays = np.asarray(delays[entries.row, entries.col]).ravel()
    parts = []
    for delay in np.unique(entry_delays[entry_delays <= max_delay]):
        has_delay = entry_delays == delay
        positions = (entries.row[has_delay], entries.col[has_delay])
        parts.append((int(delay), csr_matrix((entries.data[has_delay], positions), weights.shape)))
    return parts
