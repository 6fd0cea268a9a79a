"""Count the spikes that quantization changes, layer by layer, and locate the first difference."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.engine import Engine
from sdt_lava.ir import Graph
from sdt_lava.ir.differences import FirstDifference, first_difference
from sdt_lava.quantize.forced import ForcedLayers, Teacher, record
from sdt_lava.quantize.groups import lif_groups
from sdt_lava.quantize.samples import spread, work_of

if TYPE_CHECKING:
    from sdt_lava.quantize.samples import CalibrationData

# More samples hardly change the shares, and every export with data counts changes.
_MOST_SAMPLES = 64
# Limit on the multiplications of the count, which takes about a minute.
_MOST_WORK = 3 * 10**11


@dataclass(frozen=True)
class LayerChanges:
    """Changed spikes of one population of neurons.

    Parameters
    ----------
    name : str
        Population.
    decisions : int
        Neurons times steps times samples.
    forced : int
        Decisions that differ from the float model's if the layer receives the float model's
        spikes: the effect of its own rounding.
    free : int
        Decisions that differ if the whole integer network runs by itself.
    first : FirstDifference or None
        The earliest free-running difference; its left value is the float model's.
    """

    name: str
    decisions: int
    forced: int
    free: int
    first: FirstDifference | None


@dataclass(frozen=True)
class SpikeChanges:
    """Comparison of the integer network's spikes with those of the float model.

    Parameters
    ----------
    data : str
        Name of the data.
    samples, available : int
        Numbers of samples used and available.
    layers : tuple of LayerChanges
        One for each population, in topological order.
    """

    data: str
    samples: int
    available: int
    layers: tuple[LayerChanges, ...]

    @property
    def first_layer(self) -> LayerChanges | None:
        """First layer with a free-running difference; later layers may only inherit theirs."""
        return next((layer for layer in self.layers if layer.free), None)

    def to_dict(self) -> dict[str, Any]:
        """Return the changes as plain values, for JSON."""
        first = self.first_layer
        return {**asdict(self), "first_layer": first.name if first else None}


def count_changes(
    float_graph: Graph, graph: Graph, data: CalibrationData, teacher: Teacher
) -> SpikeChanges:
    """Run the float model and the integer network and compare their spikes.

    Parameters
    ----------
    float_graph, graph : Graph
        The same network before and after quantization.
    data : CalibrationData
        Samples; if there are many, an evenly spaced selection is used.
    teacher : callable
        Function that returns the float model's spikes.
    """
    groups = lif_groups(graph)
    work = 3 * work_of(graph, groups)
    indices = spread(len(data.x), work, min(_MOST_WORK, work * _MOST_SAMPLES))
    forced, free = Counter[str](), Counter[str]()
    decisions, first = Counter[str](), dict[str, FirstDifference]()
    layers = [ForcedLayers(graph, {name: graph.nodes[name] for name in g.names}) for g in groups]
    start = 0
    for batch in record(float_graph, data.x[indices], teacher):
        for layer in layers:
            forced.update(layer.differing_by_lif(batch))
        outputs = Engine(graph, strict=False).run(batch.frames, graph.lif_names)
        for name, spikes in outputs.items():
            expected = batch.spikes(name).numpy()
            decisions[name] += expected.size
            free[name] += int(np.count_nonzero(spikes != expected))
            _keep_earliest(first, name, first_difference(expected, spikes), indices[start:])
        start += batch.frames.shape[1]
    rows = (
        LayerChanges(name, decisions[name], forced[name], free[name], first.get(name))
        for name in graph.lif_names
    )
    return SpikeChanges(data.name, len(indices), len(data.x), tuple(rows))


def _keep_earliest(
    first: dict[str, FirstDifference],
    name: str,
    found: FirstDifference | None,
    samples: NDArray[np.int64],
) -> None:
    """Keep the earlier of two differences; ``samples`` are indices into the whole data."""
    if found is None:
        return
    found = replace(found, sample=int(samples[found.sample]))
    if name not in first or found.place < first[name].place:
        first[name] = found
