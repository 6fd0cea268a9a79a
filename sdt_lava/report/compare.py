"""Compare two executions layer by layer: count differing spikes and find the first difference."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sdt_lava.backends.result import Result
from sdt_lava.errors import DataError
from sdt_lava.ir.differences import FirstDifference, first_difference


@dataclass(frozen=True)
class LayerComparison:
    """Comparison of one LIF population.

    Parameters
    ----------
    name : str
        Layer.
    decisions : int
        Neurons times steps times samples.
    differing : int
        Decisions that differ.
    left_rate, right_rate : float
        Firing rates of the two executions.
    first : FirstDifference or None
        The earliest difference.
    """

    name: str
    decisions: int
    differing: int
    left_rate: float
    right_rate: float
    first: FirstDifference | None

    @property
    def share(self) -> float:
        """Fraction of the decisions that differ."""
        return self.differing / self.decisions


@dataclass(frozen=True)
class Comparison:
    """Comparison of two executions of the same network on the same input.

    Parameters
    ----------
    layers : tuple of LayerComparison
        Layers in topological order.
    samples : int
        Samples compared.
    agreeing_labels : int
        Samples for which both executions predict the same class.
    """

    layers: tuple[LayerComparison, ...]
    samples: int
    agreeing_labels: int

    @property
    def differing(self) -> int:
        """Differing decisions of all layers."""
        return sum(layer.differing for layer in self.layers)

    @property
    def first_layer(self) -> LayerComparison | None:
        """The first layer with a difference; later layers may only inherit theirs."""
        return next((layer for layer in self.layers if layer.differing), None)

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain values, for JSON."""
        first = self.first_layer
        return {
            "samples": self.samples,
            "agreeing_labels": self.agreeing_labels,
            "differing": self.differing,
            "first_layer": first.name if first else None,
            "layers": [{**asdict(layer), "share": layer.share} for layer in self.layers],
        }


def compare(left: Result, right: Result) -> Comparison:
    """Compare two results spike by spike.

    Parameters
    ----------
    left, right : Result
        Executions of the same network, on any back ends, on the same input.

    Raises
    ------
    DataError
        If the layers, shapes, steps or samples of the results differ.
    """
    left_sent, right_sent = left.sent, right.sent
    if set(left_sent) != set(right_sent):
        unmatched_names = sorted(set(left_sent) ^ set(right_sent))
        raise DataError(
            "results", f"layers in one of them only: {unmatched_names}", "the same layers"
        )
    layers = [_compare_layer(name, left_sent[name], right_sent[name]) for name in left_sent]
    return Comparison(
        layers=tuple(layers),
        samples=len(left.logits),
        agreeing_labels=int(np.count_nonzero(left.labels == right.labels)),
    )


def _compare_layer(name: str, left: np.ndarray, right: np.ndarray) -> LayerComparison:
    if left.shape != right.shape:
        raise DataError(
            f"layer {name!r}", f"shapes {left.shape} and {right.shape}", "one shape (T, B, ...)"
        )
    return LayerComparison(
        name=name,
        decisions=left.size,
        differing=int(np.count_nonzero(left != right)),
        left_rate=float(np.count_nonzero(left) / left.size),
        right_rate=float(np.count_nonzero(right) / right.size),
        first=first_difference(left, right),
    )
