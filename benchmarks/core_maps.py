"""Core maps of the paper's networks on Loihi 2: cores, chips, traffic, time and memory.

    python -m benchmarks.core_maps [NAME ...]

writes ``benchmarks/results/core_maps.json`` and the tables in ``docs/core-map.md``. Each map is
made in a process of its own, of which times and the largest resident memory are noted.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.common import REPOSITORY, RESULTS, machine, run_python
from benchmarks.pages import filled
from benchmarks.published_maps import PUBLISHED, published_rows
from sdt_lava.errors import SdtLavaError
from sdt_lava.families.sdt1.presets import PRESETS
from sdt_lava.io.files import write_json

OUTPUT = RESULTS / "core_maps.json"
PAGE = REPOSITORY / "docs" / "core-map.md"
_TIME_LIMIT_S = 1800.0
# Down-sampling, shortcuts and first layer of the maps of each preset.
_WAYS = (
    ("stride", "relay", "full"),
    ("stride", "relay", "fitted"),
    ("stride", "unrolled", "full"),
    ("or", "relay", "full"),
    ("or", "relay", "fitted"),
)
_SEED = 0
# Side of the images of ImageNet.
_LARGE_IMAGE = 224

# Preset, down-sampling, shortcut and first layer.
Case = tuple[str, str, str, str]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MapRun:
    """One core map.

    Parameters
    ----------
    name, downsampling, shortcut, first_layer : str
        Preset, how it was exported, and how it was lowered.
    impossible : str
        Why there is no map; empty if there is one.
    neurons, cores, chips : int
        Size of the map.
    least_cores : int
        Neurons over neurons of a core: no map can have fewer cores.
    boards : dict of str to int
        Boards of each kind that it takes.
    binding : dict of str to int
        Cores of the layers that each resource binds.
    between_cores, between_chips : int
        Messages a step if every neuron sends in every step.
    busiest_synops : int
        Synaptic operations a step of the busiest core, under the same assumption.
    cpu_s, seconds : float
        Compiling and mapping: processor and wall-clock time.
    whole_cpu_s : float
        Processor time of the whole process: imports and the random network, too.
    peak_gib : float
        Largest resident memory of the process, 2^30 bytes.
    """

    name: str
    downsampling: str
    shortcut: str
    first_layer: str
    impossible: str
    neurons: int
    cores: int
    chips: int
    least_cores: int
    boards: dict[str, int]
    binding: dict[str, int]
    between_cores: int
    between_chips: int
    busiest_synops: int
    cpu_s: float
    seconds: float
    whole_cpu_s: float
    peak_gib: float


def measure(name: str, downsampling: str, shortcut: str, first_layer: str) -> MapRun:
    """Map one network."""
    from sdt_lava.backends.deployment import compile_network
    from sdt_lava.hardware.core_map import map_cores

    net = _network(name, downsampling, first_layer)
    cpu, wall = time.process_time(), time.perf_counter()
    found: dict[str, Any] = {}
    try:
        core_map = map_cores(compile_network(net, "loihi2", shortcut=shortcut), seed=_SEED)
        found = _sizes(core_map)
    except SdtLavaError as error:
        found = {"impossible": str(error)}
    blank = {"impossible": "", "boards": {}, "binding": {}} | dict.fromkeys(_NUMBERS, 0)
    return MapRun(
        name=name,
        downsampling=downsampling,
        shortcut=shortcut,
        first_layer=first_layer,
        cpu_s=time.process_time() - cpu,
        seconds=time.perf_counter() - wall,
        whole_cpu_s=time.process_time(),
        peak_gib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        **(blank | found),
    )


_NUMBERS = (
    "neurons", "cores", "chips", "least_cores", "between_cores", "between_chips", "busiest_synops",
)  # fmt: skip


def _network(name: str, downsampling: str, first_layer: str) -> Any:
    import torch

    from sdt_lava.importers import trace
    from sdt_lava.model import SpikeDrivenTransformer, preset
    from sdt_lava.quantize.post_training import quantize_unmeasured

    torch.set_num_threads(1)
    torch.manual_seed(_SEED)
    model = SpikeDrivenTransformer(preset(name, downsampling=downsampling)).eval()
    return quantize_unmeasured(trace(model), first_layer=first_layer)


def _sizes(core_map: Any) -> dict[str, Any]:
    binding: dict[str, int] = {}
    for layer in core_map.layers:
        binding[layer.binding] = binding.get(layer.binding, 0) + layer.cores
    traffic = core_map.traffic()
    return {
        "neurons": core_map.neurons,
        "cores": len(core_map.cores),
        "chips": core_map.chips,
        "least_cores": -(-core_map.neurons // core_map.capacity["neurons"]),
        "boards": core_map.boards_needed,
        "binding": binding,
        "between_cores": traffic.between_cores,
        "between_chips": traffic.between_chips,
        "busiest_synops": core_map.busiest.synops,
    }


def run_one(case: Case) -> MapRun:
    """Map one network in a process of its own."""
    name, *way = case
    arguments = ["-m", "benchmarks.core_maps", name, "--measure", *way]
    return MapRun(**json.loads(run_python(arguments, timeout=_TIME_LIMIT_S)))


def read_runs() -> dict[Case, MapRun]:
    """Return the runs of an earlier call."""
    if not OUTPUT.exists():
        return {}
    rows = [MapRun(**row) for row in json.loads(OUTPUT.read_text(encoding="utf-8"))["maps"]]
    return {(row.name, row.downsampling, row.shortcut, row.first_layer): row for row in rows}


def cases(names: list[str]) -> list[Case]:
    """Return what is mapped of some presets."""
    return [(name, *way) for name in names for way in _WAYS]


def write_runs(runs: dict[Case, MapRun], published: list[dict[str, Any]]) -> None:
    """Write results and page, in the order of the presets."""
    ordered = [runs[case] for case in cases(list(PRESETS)) if case in runs]
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    rows = [asdict(run) for run in ordered]
    write_json(OUTPUT, {"machine": machine(), "maps": rows, "published": published})
    _fill("core_maps.json", page_table(ordered))
    _fill("published.json", _table(PUBLISHED, published))


def page_table(runs: list[MapRun]) -> str:
    """Return the maps that the page shows: with relays; OR-pools only of ImageNet's networks."""
    shown = [
        run
        for run in runs
        if run.cores
        and run.shortcut == "relay"
        and (run.downsampling == "stride" or PRESETS[run.name].image_size[0] >= _LARGE_IMAGE)
    ]
    return _table(_COLUMNS, shown)


def _fill(name: str, text: str) -> None:
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), name, text), encoding="utf-8")


_BINDS = {"neurons": "neurons", "synapse_memory": "memory", "axons_out": "axons out"}
_COLUMNS: dict[str, Callable[[Any], str]] = {
    "preset": lambda run: f"`{run.name}`",
    "downsampling": lambda run: run.downsampling,
    "first layer": lambda run: run.first_layer,
    "neurons [M]": lambda run: f"{run.neurons / 1e6:.2f}",
    "cores": lambda run: f"{run.cores:,}",
    "at least": lambda run: f"{run.least_cores:,}",
    "chips": lambda run: f"**{run.chips}**",
    "Kapoho Points": lambda run: str(run.boards["kapohopoint"]),
    "binds most cores": lambda run: _binds(run.binding),
    "map [CPU s]": lambda run: f"{run.cpu_s:.0f}",
    "memory [GiB]": lambda run: f"{run.peak_gib:.1f}",
}


def _binds(binding: dict[str, int]) -> str:
    if not binding:
        return ""
    most = max(binding, key=lambda name: binding[name])
    return _BINDS.get(most, most.replace("_", " "))


def _table(columns: dict[str, Callable[[Any], str]], rows: list[Any]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    lines += ["| " + " | ".join(text(row) for text in columns.values()) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Map the presets asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all presets")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(PRESETS))
    if unknown:
        parser.error(f"no preset {unknown[0]!r}; there are {', '.join(PRESETS)}")
    if options.measure:
        print(json.dumps(asdict(measure(options.names[0], *options.measure))))
        return 0
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    runs, published = read_runs(), published_rows()
    chosen = cases(options.names or list(PRESETS))
    for position, case in enumerate(chosen, 1):
        logger.info("%d/%d %s", position, len(chosen), ", ".join(case))
        runs[case] = run_one(case)
        write_runs(runs, published)
    return 0


if __name__ == "__main__":
    sys.exit(main())
