"""Describe each population of a core map."""

from __future__ import annotations

from sdt_lava.hardware.core_map.candidates import PopulationTilings
from sdt_lava.hardware.core_map.core_map import ConnectionMap, LayerMap
from sdt_lava.hardware.core_map.demand import EXPLICIT, SHARED, Demand
from sdt_lava.hardware.core_map.layout import Layout
from sdt_lava.hardware.core_map.limits import RESOURCES, UNLIMITED
from sdt_lava.hardware.core_map.tiling import Tiling
from sdt_lava.hardware.core_map.wiring import Population, Projection

_TILE_NAMES = {2: ("channels", "positions"), 3: ("channels", "rows", "columns")}


def describe_layers(layout: Layout) -> tuple[LayerMap, ...]:
    """Return one description for each population on cores, in the order of the data flow."""
    compared: dict[object, tuple[int | None, int | None]] = {}
    return tuple(_describe(layout, population, compared) for population in layout.wiring.on_cores)


def _describe(
    layout: Layout,
    population: Population,
    compared: dict[object, tuple[int | None, int | None]],
) -> LayerMap:
    demand, tiling = layout.demand, layout.tilings[population.name]
    incoming = demand.wiring.incoming[population.name]
    outgoing = demand.wiring.outgoing[population.name]
    # The blocks of a network repeat, so equal comparisons are made once.
    key = (
        tiling,
        tuple(p.key for p in incoming),
        tuple((p.key, layout.tilings[p.reader.name]) for p in outgoing),
    )
    if key not in compared:
        compared[key] = _compare(layout, population)
    utilisation = _utilisation(layout, population)
    names = _TILE_NAMES[len(tiling.largest)]
    return LayerMap(
        name=population.name,
        kind=population.kind,
        block=population.block,
        shape=population.shape,
        neurons=population.size,
        slices=tiling.slices,
        tile=dict(zip(names, tiling.largest, strict=True)),
        utilisation=utilisation,
        binding=_binding(utilisation, tiling),
        connections=tuple(_connection(demand, projection, tiling) for projection in incoming),
        cores_shared=compared[key][0],
        cores_explicit=compared[key][1],
    )


def _utilisation(layout: Layout, population: Population) -> dict[str, float]:
    demand, tiling = layout.demand, layout.tilings[population.name]
    usage = demand.usage(population, tiling, layout.tilings)
    return {
        name: int(usage[name].max()) / max(1, demand.limits.capacity[name])
        for name in RESOURCES
        if demand.limits.capacity[name] != UNLIMITED
    }


def _binding(utilisation: dict[str, float], tiling: Tiling) -> str:
    # Neuron groups are a bottleneck only if other populations share the core.
    shares = {name: share for name, share in utilisation.items() if name != "neuron_groups"}
    if tiling.slices == 1 or not shares:
        return "none"
    return max(shares, key=lambda name: shares[name])


def _connection(demand: Demand, projection: Projection, tiling: Tiling) -> ConnectionMap:
    needs = demand.incoming(projection, tiling)
    shared = needs.memory.get(SHARED)
    return ConnectionMap(
        name=projection.name,
        kind=projection.kind,
        source=projection.source.name,
        delay=projection.delay,
        storage=needs.storage,
        synapses=projection.synapses,
        weights=projection.weights,
        shared_bytes=None if shared is None else int(shared.sum()),
        explicit_bytes=int(needs.memory[EXPLICIT].sum()),
    )


def _compare(layout: Layout, population: Population) -> tuple[int | None, int | None]:
    """Return the numbers of slices with shared and with explicit weights of convolutions."""
    demand = layout.demand
    if not any(demand.can_share(p) for p in demand.wiring.incoming[population.name]):
        return None, None
    slices = []
    for storage in (SHARED, EXPLICIT):
        space = PopulationTilings(demand, population, layout.tilings, storage)
        best = space.best(lambda tiling: (tiling.slices,))
        slices.append(None if best is None else best.slices)
    return slices[0], slices[1]
