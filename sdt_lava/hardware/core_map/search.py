"""Choose how each population is cut: few cores first, then little traffic.

What a population needs depends on how it is cut itself, except for its output axons: a neuron
needs one for each slice, of whatever reads it, that it has a synapse in. Populations are
therefore cut from the output backwards, several times: at first each for itself, then with a view
to the cores that its sources will need for the axons that it takes from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sdt_lava.errors import CompileError
from sdt_lava.hardware.core_map.candidates import PopulationTilings, Score
from sdt_lava.hardware.core_map.demand import Demand
from sdt_lava.hardware.core_map.limits import REMEDIES, RESOURCES, UNITS
from sdt_lava.hardware.core_map.tiling import Tiling
from sdt_lava.hardware.core_map.wiring import Population, Projection

# More than enough: the choices of the presets settle after two.
_SWEEPS = 4
# Cores that are counted where a source's neuron would need more than a core has for sending.
_IMPOSSIBLE = 1e12


@dataclass(frozen=True)
class _Load:
    """What a source needs for sending to all its readers but one: output axons and messages."""

    alone: int  # slices of the source, sending left out
    total: tuple[int, int]
    most: tuple[int, int]  # of one neuron


class TilingSearch:
    """The search over all populations.

    Parameters
    ----------
    demand : Demand
        Needs of slices.
    """

    def __init__(self, demand: Demand) -> None:
        self._demand = demand
        self._wiring = demand.wiring
        capacity = demand.limits.capacity
        self._sending = capacity["axons_out"], capacity["messages"]
        self._chosen: dict[object, Tiling] = {}
        # Slices of each population if it had not to send.
        self._least: dict[str, int] = {}

    def run(self) -> dict[str, Tiling]:
        """Return a tiling of each population on cores.

        Raises
        ------
        CompileError
            If a single neuron needs more than a core has.
        """
        order = tuple(reversed(self._wiring.on_cores))
        tilings = {p.name: self._alone(p) for p in order}
        self._least = {name: tiling.slices for name, tiling in tilings.items()}
        best: dict[str, Tiling] | None = None
        for _ in range(_SWEEPS):
            before = dict(tilings)
            for population in order:
                tilings[population.name] = self._together(population, tilings)
            if best is None or self._cost(tilings) < self._cost(best):
                best = dict(tilings)
            if tilings == before:
                break
        assert best is not None
        return best

    def filled(self, tilings: Mapping[str, Tiling]) -> dict[str, Tiling]:
        """Return as many slices, most of them as large as fits and the last ones small."""
        result = dict(tilings)
        done: dict[object, Tiling] = {}
        for population in reversed(self._wiring.on_cores):
            tiling = result[population.name]
            key = tiling, self._surroundings(population, result)
            if key not in done:
                space = PopulationTilings(self._demand, population, result)
                # Its readers have changed, and with them the output axons.
                fits = space.fits(tiling)
                done[key] = space.filled(tiling) if fits else self._together(population, result)
            result[population.name] = done[key]
        return result

    def _cost(self, tilings: Mapping[str, Tiling]) -> Score:
        messages = sum(
            self._demand.least_sent(projection, tilings[projection.reader.name])[1]
            for projection in self._wiring.projections
        )
        return sum(tiling.slices for tiling in tilings.values()), messages

    def _alone(self, population: Population) -> Tiling:
        """Cut a population without regard to its readers and sources."""
        incoming = self._wiring.incoming[population.name]
        key = population.shape, tuple(projection.key for projection in incoming)
        if key not in self._chosen:
            space = PopulationTilings(self._demand, population)

            def score(tiling: Tiling) -> Score:
                messages = sum(self._demand.least_sent(p, tiling)[1] for p in incoming)
                return tiling.slices, messages

            self._chosen[key] = _required(space, space.best(score), population)
        return self._chosen[key]

    def _together(self, population: Population, tilings: Mapping[str, Tiling]) -> Tiling:
        """Cut a population for its readers' present tilings."""
        incoming = self._wiring.incoming[population.name]
        others = [p for p in incoming if not p.source.on_host and p.source.name != population.name]
        loads = {p.name: self._load(p, tilings) for p in others}
        key = self._surroundings(population, tilings), tuple(loads.values())
        if key not in self._chosen:
            space = PopulationTilings(self._demand, population, tilings)
            best = space.best(lambda tiling: self._score(tiling, incoming, loads))
            self._chosen[key] = _required(space, best, population)
        return self._chosen[key]

    def _surroundings(self, population: Population, tilings: Mapping[str, Tiling]) -> object:
        """Return all that what a population needs depends on; blocks repeat each other."""
        incoming = self._wiring.incoming[population.name]
        outgoing = self._wiring.outgoing[population.name]
        return (
            population.shape,
            population.name == self._wiring.output,
            tuple((p.key, p.source.on_host, p.source == p.reader) for p in incoming),
            tuple((p.key, tilings[p.reader.name]) for p in outgoing),
        )

    def _load(self, projection: Projection, tilings: Mapping[str, Tiling]) -> _Load:
        others = [
            other
            for other in self._wiring.outgoing[projection.source.name]
            if other.reader.name != projection.reader.name
        ]
        sent = [(0, 0)]
        most = [(0, 0)]
        for other in others:
            tiling = tilings[other.reader.name]
            sent.append(self._demand.least_sent(other, tiling))
            most.append(self._demand.most_sent(other, tiling))
        return _Load(self._least[projection.source.name], _add(sent), _add(most))

    def _score(
        self, tiling: Tiling, incoming: tuple[Projection, ...], loads: Mapping[str, _Load]
    ) -> Score:
        """Add up the population's own slices, and those that its sources need to reach it."""
        cores, messages = float(tiling.slices), 0
        for projection in incoming:
            taken = self._demand.least_sent(projection, tiling)
            messages += taken[1]
            load = loads.get(projection.name)
            if load is None:
                continue
            most = _add([load.most, self._demand.most_sent(projection, tiling)])
            if any(need > limit for need, limit in zip(most, self._sending, strict=True)):
                # Its turn comes, and it is the source that cannot be mapped.
                cores += _IMPOSSIBLE
            total = _add([load.total, taken])
            needed = max(need / limit for need, limit in zip(total, self._sending, strict=True))
            cores += max(0.0, needed - load.alone)
        return cores, messages, tiling.channels.parts


def _add(pairs: list[tuple[int, int]]) -> tuple[int, int]:
    return sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)


def _required(space: PopulationTilings, tiling: Tiling | None, population: Population) -> Tiling:
    if tiling is not None:
        return tiling
    usage = space.usage(space.finest)
    capacity = space.capacity
    name = max(RESOURCES, key=lambda name: int(usage[name].max()) / max(capacity[name], 0.5))
    raise CompileError(
        f"population {population.name!r}",
        f"a single neuron needs {int(usage[name].max()):,} {UNITS[name]}",
        f"at most {capacity[name]:,} a core ({RESOURCES[name]})",
        REMEDIES[name],
    )
