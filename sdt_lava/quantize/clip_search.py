"""Choose clips on data: the largest weight is not always the best one to fill the range.

Weights beyond a clip are clipped, and all others get finer steps. The best clip depends on the
layer's input. Under teacher forcing, groups of neurons that share a scale are independent, so the
search treats each one alone and chooses the clips with the fewest spikes that differ from the float
model's.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sdt_lava.errors import QuantizationError
from sdt_lava.ir import Node
from sdt_lava.ir.bounds import bound_nodes
from sdt_lava.quantize.fitting import weights_stay
from sdt_lava.quantize.forced import ForcedLayers, RecordedBatch, Teacher, record
from sdt_lava.quantize.groups import LifGroup
from sdt_lava.quantize.headroom import fits
from sdt_lava.quantize.report import ClipChoice, ScaleChoices
from sdt_lava.quantize.samples import spread, work_of
from sdt_lava.quantize.search import ScaleSearch

logger = logging.getLogger(__name__)

# Clips tried for all layers of a group; above 1, steps are coarser and fall on other values.
_SHARED_CLIPS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 1.1)
# Factors of its clip that are then tried for each layer of a residual stream.
_OWN_CLIPS = (0.8, 0.5)
# Limit on the multiplications of a search, which takes some minutes. It determines the number of
# samples, never which of two clips is better.
_MOST_WORK = 10**12
# A candidate is abandoned after the first batch at which its differing spikes exceed those of the
# best one by this factor plus this number.
_HOPELESS, _FEW = 1.05, 10


@dataclass(frozen=True)
class _Trial:
    """Scales of one group, and cumulative counts of differing spikes at the end of each batch."""

    part: ScaleSearch
    counts: tuple[int, ...]

    @property
    def differing(self) -> int:
        return self.counts[-1]


class ClipSearch:
    """The search for clips over the groups of a network.

    Parameters
    ----------
    search : ScaleSearch
        Scales with clips of 1, which fit every range.
    x : ndarray
        Calibration samples ``(B, *shape)`` or ``(B, T, *shape)``; if there are many, an evenly
        spaced selection is used.
    teacher : callable
        Function that returns the float model's spikes.
    margin : float
        Required headroom above a neuron's extremes on this data if its range is not proved.

    Attributes
    ----------
    samples : ndarray of int
        Indices of the samples used.
    """

    def __init__(
        self, search: ScaleSearch, x: NDArray[np.floating], teacher: Teacher, margin: float
    ) -> None:
        self._search = search
        self._graph = search.float_graph
        self._margin = margin
        self._available = len(x)
        self._groups = [g for g in search.groups if not g.counts and g.lifs and g.synapses]
        self.samples = spread(len(x), self._work(), _MOST_WORK)
        self._batches = list(record(self._graph, x[self.samples], teacher))
        self._choices: list[ClipChoice] = []

    def run(self) -> list[ScaleSearch]:
        """Choose clips and return the groups for which other clips than the default are better."""
        improved_parts = []
        for group in self._groups:
            default = self._counted(self._search.part(group))
            best = default
            if not self._is_exact(group):
                best = self._best_own(group, self._best_shared(group, default))
            self._note(group, default, best)
            if best is not default:
                improved_parts.append(best.part)
        return improved_parts

    def chosen(self, data: str) -> ScaleChoices:
        """Return the choices of all groups; ``data`` is the name of the samples."""
        return ScaleChoices(data, len(self.samples), self._available, tuple(self._choices))

    def revert(self, groups: Collection[str]) -> None:
        """Record that some groups keep the default after all."""
        self._choices = [
            replace(
                choice,
                clips=dict.fromkeys(choice.clips, 1.0),
                differing=choice.default_differing,
            )
            if choice.group in groups
            else choice
            for choice in self._choices
        ]

    def _is_exact(self, group: LifGroup) -> bool:
        """Return whether no weight of a group is rounded, so that clips cannot improve it."""
        scale, clips = self._search.scales[group.name], self._search.clips
        return weights_stay(self._graph, group, scale, self._search.weights, clips)

    def _best_shared(self, group: LifGroup, best: _Trial) -> _Trial:
        for clip in _SHARED_CLIPS:
            best = self._better(group, dict.fromkeys(group.synapses, clip), best)
        return best

    def _best_own(self, group: LifGroup, best: _Trial) -> _Trial:
        if len(group.synapses) == 1:
            return best
        for name in group.synapses:
            for share in _OWN_CLIPS:
                clips = {layer: best.part.clips.get(layer, 1.0) for layer in group.synapses}
                candidate = self._better(group, {**clips, name: share * clips[name]}, best)
                if candidate is not best:
                    best = candidate
                    break
        return best

    def _better(self, group: LifGroup, clips: dict[str, float], best: _Trial) -> _Trial:
        """Return a trial with the given clips if fewer spikes differ, else the best one so far."""
        try:
            part = ScaleSearch(self._graph, self._search.weights, (group,), clips)
            nodes, unproved = _settle(part)
        except QuantizationError as error:
            logger.debug("clips %s of %s: %s", clips, group.name, error)
            return best
        layers = ForcedLayers(self._graph, nodes)
        counts = self._count(layers, best.counts)
        if len(counts) < len(best.counts) or counts[-1] >= best.differing:
            return best
        safe = all(fits(layers.extremes[name], self._margin) for name in unproved)
        return _Trial(part, counts) if safe else best

    def _counted(self, part: ScaleSearch) -> _Trial:
        return _Trial(part, self._count(ForcedLayers(self._graph, part.nodes())))

    def _count(self, layers: ForcedLayers, best: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Count differing spikes batch by batch; stop if the trial cannot become the best one."""
        counts: list[int] = []
        total = 0
        for number, batch in enumerate(self._batches):
            total += sum(layers.differing_by_lif(batch).values())
            counts.append(total)
            if best and total > _HOPELESS * best[number] + _FEW:
                break
        return tuple(counts)

    def _note(self, group: LifGroup, default: _Trial, best: _Trial) -> None:
        choice = ClipChoice(
            group=group.name,
            neurons=group.lifs,
            clips={name: best.part.clips.get(name, 1.0) for name in group.synapses},
            decisions=sum(_decisions(self._batches, name) for name in group.lifs),
            default_differing=default.differing,
            differing=best.differing,
        )
        logger.info("%s: clips %s, %d differ", group.name, choice.clips, choice.differing)
        self._choices.append(choice)

    def _work(self) -> int:
        work = 0
        for group in self._groups:
            layer_trials = len(group.synapses) * len(_OWN_CLIPS) if len(group.synapses) > 1 else 0
            work += work_of(self._graph, [group]) * (1 + len(_SHARED_CLIPS) + layer_trials)
        return work


def _settle(part: ScaleSearch) -> tuple[dict[str, Node], list[str]]:
    """Lower a group's scale if that proves its ranges.

    Return its rounded nodes and the neurons that remain unproved.
    """
    while True:
        nodes = part.nodes()
        bounds = bound_nodes(part.float_graph, nodes)
        unproved = [name for name, extremes in bounds.items() if not fits(extremes)]
        if not part.towards_proof(bounds, unproved):
            return nodes, unproved


def _decisions(batches: Sequence[RecordedBatch], lif: str) -> int:
    return sum(int(np.prod(batch.shapes[lif])) for batch in batches)
