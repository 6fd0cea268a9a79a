"""Sparse and DelaySparse."""

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
    """Sparse connections."""

    def _make_tables(self) -> None:
        propagate = propagate_matrix(self.weights, self.weight_exp, self._graded)
        self._propagate = rounded(propagate, self.weight_exp, self.weights.shape[0])


@implements(proc=DelaySparse, protocol=LoihiProtocol)
@requires(CPU)
@tag("accelerated")
class PyDelaySparseModelAccelerated(DelayedConnection, PyDelaySparseModelBitAcc):
    """Sparse connections with delays; Lava sorts them by delay at every step, this once."""

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
    """Split a matrix by delay; synapses that the matrix of delays leaves out have none.

    Parameters
    ----------
    weights, delays : csr_matrix
        ``(outputs, inputs)``.
    max_delay : int
        Synapses with longer delays are left out, as Lava does.
    """
    entries = weights.tocoo()
    if not entries.nnz:
        return []
    of_entry = np.asarray(delays[entries.row, entries.col]).ravel()
    parts = []
    for delay in np.unique(of_entry[of_entry <= max_delay]):
        chosen = of_entry == delay
        at = (entries.row[chosen], entries.col[chosen])
        parts.append((int(delay), csr_matrix((entries.data[chosen], at), weights.shape)))
    return parts
