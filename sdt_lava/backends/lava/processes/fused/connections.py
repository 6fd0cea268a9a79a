"""Propagate events over the connections of a fused model: a table of matrices, and convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from sdt_lava.backends.lava.processes.fused.populations import Region
from sdt_lava.backends.lava.processes.propagation import (
    Propagate,
    propagate_kernels,
    propagate_matrix,
    rounded,
)
from sdt_lava.compiler.connections import dense_rows
from sdt_lava.compiler.partition import Connection
from sdt_lava.errors import CompileError
from sdt_lava.ir import Conv, Dense, Sparse
from sdt_lava.ir.eight_bits import eight_bit_weights
from sdt_lava.ir.numerics import power_shift
from sdt_lava.kernels.jit import resolved
from sdt_lava.kernels.matrices import (
    LINK,
    RunTable,
    channels_last,
    column_table,
    in_few_bytes,
    propagate_network,
    run_table,
)
from sdt_lava.support.allocation import placed, placed_fields


@dataclass(frozen=True)
class Link:
    """A connection with the regions of its source among signals and its reader among sums."""

    connection: Connection
    source: Region
    target: Region

    @property
    def exponent(self) -> int:
        """Weight exponent of a matrix; the compiler makes one connection for each exponent."""
        return int(self.connection.node.exponent)


def is_in_table(link: Link) -> bool:
    """Return whether a connection is a matrix whose sums need no rounding.

    Products of payloads and odd weights with both signs need rounding: Lava stores twice the
    weights, so their sums have one bit less. Sums of spikes do not reach that limit.
    """
    node = link.connection.node
    if not isinstance(node, Sparse | Dense) or link.exponent < 0:
        return False
    return not link.connection.graded or _stored(link)[1] >= 0


def _stored(link: Link) -> tuple[Any, int]:
    """Return the weights as Lava stores them, and the exponent; raise if Lava would change them."""
    node = link.connection.node
    assert isinstance(node, Sparse | Dense)
    weights, exponent = eight_bit_weights(
        node.weight.data if isinstance(node, Sparse) else node.weight, node
    )
    return weights, int(exponent)


def _matrix(link: Link, *, as_stored: bool = False) -> csr_matrix:
    """Return the original or stored weights in the order of the model's signals."""
    node = link.connection.node
    assert isinstance(node, Sparse | Dense)
    # Entries of 0 are kept; without them, runs would be shorter.
    if isinstance(node, Dense):
        weights = dense_rows(np.asarray(node.weight), np.arange(len(node.weight)))
    else:
        weights = node.weight
    stored, _ = eight_bit_weights(weights.data, node)
    entries = weights.tocoo()
    values = stored if as_stored else entries.data
    rows = channels_last(link.target.shape)[entries.row]
    columns = channels_last(link.source.shape)[entries.col]
    return csr_matrix((values.astype(np.int32), (rows, columns)), entries.shape)


class MatrixTable:
    """All matrices of a program in one table, which a single call processes.

    Parameters
    ----------
    links : sequence of Link
        Connections for which :func:`is_in_table` returns True; at least one.
    """

    def __init__(self, links: Sequence[Link]) -> None:
        tables = [run_table(column_table(_matrix(link), link.exponent)) for link in links]
        columns = np.cumsum([0, *(len(table.start) for table in tables)])
        runs = np.cumsum([0, *(len(table.first) for table in tables)])
        weights = np.cumsum([0, *(len(table.weights) for table in tables)]).astype(np.uint64)
        self._links = placed(np.array(
            [
                (column, link.source.start, link.source.size, link.connection.delay,
                 link.connection.graded)
                for link, column in zip(links, columns[:-1], strict=True)
            ],
            LINK,
        ))  # fmt: skip
        self._table = placed_fields(
            RunTable(
                np.concatenate([t.start + run for t, run in zip(tables, runs[:-1], strict=True)]),
                np.concatenate(
                    [
                        t.first + np.uint64(k.target.start)
                        for t, k in zip(tables, links, strict=True)
                    ]
                ),
                np.concatenate(
                    [t.offset[:-1] + w for t, w in zip(tables, weights[:-1], strict=True)]
                    + [weights[-1:]]
                ),
                in_few_bytes(np.concatenate([table.weights for table in tables])),
            )
        )

        self._propagate = resolved(
            propagate_network,
            np.zeros(0, np.int32),
            self._links,
            self._table,
            np.zeros((0, 0), np.int32),
            0,
        )

    def propagate(self, values: Any, arriving: Any, step: int) -> None:
        """Add the events of all signals to the sums of the steps in which they arrive.

        Parameters
        ----------
        values : ndarray of int32
            Values of all signals in this step.
        arriving : ndarray of int32
            Sums of future steps, ``(steps, sums)``; row ``s % steps`` belongs to step s.
        step : int
            Next step, in which events without a delay arrive.
        """
        self._propagate(values, self._links, self._table, arriving, step)


def link_function(link: Link) -> Propagate:
    """Return the function that propagates a connection outside the table.

    Raises
    ------
    CompileError
        If the connection has no fused form.
    """
    connection = link.connection
    node = connection.node
    if isinstance(node, Sparse | Dense):
        _, exponent = _stored(link)
        matrix = propagate_matrix(_matrix(link, as_stored=True), exponent, connection.graded)
        return rounded(matrix, exponent, link.target.size)
    if not isinstance(node, Conv):
        raise CompileError(
            f"connection {node.name!r}",
            f"kind {node.kind}, which has no fused form",
            ", ".join(kind.kind for kind in (Sparse, Dense, Conv)),
            "use models='accelerated'",
        )
    # Apply exponents to the weights, since Lava's process ignores them.
    weight = power_shift(np.asarray(node.weight, np.int64), node.exponent, 0)
    return propagate_kernels(
        weight.astype(np.int32).transpose(0, 2, 3, 1),
        tuple((*region.shape[1:], region.shape[0]) for region in (link.source, link.target)),  # type: ignore[arg-type]
        (node.stride, node.padding, node.dilation),
        node.groups,
        connection.graded,
    )
