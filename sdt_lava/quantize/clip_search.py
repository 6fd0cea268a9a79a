"""Clips from data: the largest weight is not always the best one to fill the range.

Weights beyond a clip are cut off, and all others get finer steps. Which clip is best depends on
what a layer receives. Groups of neurons that share a scale are independent under teacher forcing,
so each is searched alone: the clips with the fewest spikes that differ from the float model's.
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
from sdt_lava.quantize.report import ClipChoice, ScaleChoices, fits
from sdt_lava.quantize.samples import spread, work_of
from sdt_lava.quantize.search import ScaleSearch

logger = logging.getLogger(__name__)

# Clips that all layers of a group try together; above 1, the steps are coarser and fall elsewhere.
_SHARED_CLIPS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 1.1)
# Then each layer of a residual stream tries these shares of its own clip.
_OWN_CLIPS = (0.8, 0.5)
# Multiplications that a search may take: some minutes. It decides how many samples are looked at,
# never which of two clips is better.
_MOST_WORK = 10**12
# A candidate is given up at the first batch up to which it has this many times the differing
# spikes of the best one, and some more.
_HOPELESS, _FEW = 1.05, 10


@dataclass(frozen=True)
class _Trial:
    """Scales of one group, and the spikes that differ up to the end of each batch."""

    part: ScaleSearch
    counts: tuple[int, ...]

    @property
    def differing(self) -> int:
        return self.counts[-1]


class ClipSearch:
    """The search over the groups of a network.

    Parameters
    ----------
    search : ScaleSearch
        Scales at clips of 1, which fit every range.
    x : ndarray
        Calibration samples ``(B, *shape)`` or ``(B, T, *shape)``; of many, an evenly spaced choice
        is used.
    teacher : callable
        Returns the float model's spikes.
    margin : float
        Room demanded above what a neuron reaches on this data where its range is not proved.

    Attributes
    ----------
    samples : ndarray of int
        Indices of the samples that were used.
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
        """Choose clips; return the groups for which others than the default are better."""
        changed = []
        for group in self._groups:
            default = self._counted(self._search.part(group))
            best = default
            if not self._is_exact(group):
                best = self._best_own(group, self._best_shared(group, default))
            self._note(group, default, best)
            if best is not default:
                changed.append(best.part)
        return changed

    def chosen(self, data: str) -> ScaleChoices:
        """Return what was chosen in all groups, on data of that name."""
        return ScaleChoices(data, len(self.samples), self._available, tuple(self._choices))

    def revert(self, groups: Collection[str]) -> None:
        """Note that some groups keep the default after all."""
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
        """Tell whether nothing can be gained, since no weight of a group is rounded."""
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
        """Return the trial of some clips if it has fewer differing spikes, else the best so far."""
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
        """Count differing spikes batch by batch, as long as there is hope."""
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
            own = len(group.synapses) * len(_OWN_CLIPS) if len(group.synapses) > 1 else 0
            work += work_of(self._graph, [group]) * (1 + len(_SHARED_CLIPS) + own)
        return work


def _settle(part: ScaleSearch) -> tuple[dict[str, Node], list[str]]:
    """Lower a group's scale where that proves its ranges.

    Returns its rounded nodes and the neurons that are left unproved.
    """
    while True:
        nodes = part.nodes()
        bounds = bound_nodes(part.float_graph, nodes)
        unproved = [name for name, extremes in bounds.items() if not fits(extremes)]
        if not part.towards_proof(bounds, unproved):
            return nodes, unproved


def _decisions(batches: Sequence[RecordedBatch], lif: str) -> int:
    return sum(int(np.prod(batch.shapes[lif])) for batch in batches)
