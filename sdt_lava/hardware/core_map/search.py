"""Choose the tiling of each population: few cores first, then little traffic.

The demand of a population depends only on its own tiling, except for output axons: a neuron needs
one for each slice of a reader in which it has a synapse. Populations are therefore cut from the
output backwards, several times. The first time, each is cut independently; afterwards, the score
includes the cores that its sources need for their axons to it.
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

# More than enough: the tilings of the presets converge after two sweeps.
_SWEEPS = 4
# Penalty in cores if a neuron of a source would need more for sending than a core has.
_IMPOSSIBLE = 1e12


@dataclass(frozen=True)
class _Load:
    """Output axons and messages that a source needs for sending to all its readers but one."""

    alone: int  # slices of the source if it sent nothing
    total: tuple[int, int]
    most: tuple[int, int]  # maximum over neurons


class TilingSearch:
    """Search for the tilings of all populations.

    Parameters
    ----------
    demand : Demand
        Demand of slices.
    """

    def __init__(self, demand: Demand) -> None:
        self._demand = demand
        self._wiring = demand.wiring
        capacity = demand.limits.capacity
        self._sending = capacity["axons_out"], capacity["messages"]
        self._chosen: dict[object, Tiling] = {}
        # Slices of each population if it sent nothing.
        self._least: dict[str, int] = {}

    def run(self) -> dict[str, Tiling]:
        """Return a tiling for each population on cores.

        Raises
        ------
        CompileError
            If a single neuron does not fit on a core.
        """
        order = tuple(reversed(self._wiring.on_cores))
        tilings = {p.name: self._alone(p) for p in order}
        self._least = {name: tiling.slices for name, tiling in tilings.items()}
        best: dict[str, Tiling] | None = None
        for _ in range(_SWEEPS):
            previous = dict(tilings)
            for population in order:
                tilings[population.name] = self._together(population, tilings)
            if best is None or self._cost(tilings) < self._cost(best):
                best = dict(tilings)
            if tilings == previous:
                break
        assert best is not None
        return best

    def filled(self, tilings: Mapping[str, Tiling]) -> dict[str, Tiling]:
        """Return tilings with as many slices, all as large as possible except the last ones."""
        result = dict(tilings)
        done: dict[object, Tiling] = {}
        for population in reversed(self._wiring.on_cores):
            tiling = result[population.name]
            key = tiling, self._surroundings(population, result)
            if key not in done:
                space = PopulationTilings(self._demand, population, result)
                # New tilings of the readers have changed the output axons.
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
        """Cut a population without considering its readers and sources."""
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
        """Cut a population given the current tilings of its readers."""
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
        """Return everything that determines a population's demand; blocks of a network repeat."""
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
        """Return the slices of the population and those its sources need for it, and traffic."""
        cores, messages = float(tiling.slices), 0
        for projection in incoming:
            needs = self._demand.least_sent(projection, tiling)
            messages += needs[1]
            load = loads.get(projection.name)
            if load is None:
                continue
            most = _add([load.most, self._demand.most_sent(projection, tiling)])
            if any(need > limit for need, limit in zip(most, self._sending, strict=True)):
                # The search reaches the source later, which is then the one that cannot be mapped.
                cores += _IMPOSSIBLE
            total = _add([load.total, needs])
            source_cores = max(
                need / limit for need, limit in zip(total, self._sending, strict=True)
            )
            cores += max(0.0, source_cores - load.alone)
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
