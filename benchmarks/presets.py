"""Every network of the paper, from checkpoint to engine: sizes, times and memory.

    python -m benchmarks.presets [NAME ...]

writes ``benchmarks/results/presets.json`` and the table in ``docs/presets.md``. For each network a
checkpoint in the authors' layout is made, with random weights and statistics of BatchNorm that let
every layer fire; a process of its own then imports, exports, reads and simulates it. The peak is
that process's largest resident memory, Python and torch included.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.common import REPOSITORY, RESULTS, machine, run_python
from benchmarks.pages import filled
from sdt_lava.cli.console import make_table
from sdt_lava.families.sdt1.config import SdtConfig
from sdt_lava.families.sdt1.presets import PRESETS
from sdt_lava.io.files import write_json

OUTPUT = RESULTS / "presets.json"
PAGE = REPOSITORY / "docs" / "presets.md"
# Networks that are not from the paper.
_OWN = ("digits", "synthetic-dvs")
_TIME_LIMIT_S = 1800.0
_ENGINE_ROUNDS = 3
_SEED = 0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PresetRun:
    """What was measured of one network.

    Parameters
    ----------
    name : str
        The preset.
    parameters_m : float
        Learned values of the published network, in millions.
    tokens, timesteps : int
        Size of a sample.
    import_s, export_s, read_s : float
        Checkpoint to torch module; module to file, with quantization and overflow proofs; file to
        integer graph.
    engine_s : float
        One image, median of a few runs after a first one.
    first_image_s : float
        The first image, which prepares the weights.
    file_mb : float
        Network file, 10^6 bytes.
    peak_gib : float
        Largest resident memory of the process, 2^30 bytes.
    spikes : int
        Of one image, over all layers and steps.
    silent : int
        Layers of neurons without any.
    """

    name: str
    parameters_m: float
    tokens: int
    timesteps: int
    import_s: float
    export_s: float
    read_s: float
    engine_s: float
    first_image_s: float
    file_mb: float
    peak_gib: float
    spikes: int
    silent: int


def names() -> list[str]:
    """Return the presets of the paper."""
    return [name for name in PRESETS if name not in _OWN]


def official(name: str) -> SdtConfig:
    """Return a preset as the authors' code builds it."""
    return replace(PRESETS[name], downsampling="max", neuron="lif")


def sample(config: SdtConfig, batch: int = 1) -> Any:
    """Return seeded input: noise of 8-bit pixels, or event counts ``(B, T, C, H, W)``."""
    import numpy as np

    rng = np.random.default_rng(_SEED)
    frame = (config.in_channels, *config.image_size)
    if config.in_channels == 2:
        shape = (batch, config.timesteps, *frame)
        return rng.poisson(0.3, shape).astype(np.float32)
    pixels = rng.integers(0, 256, (batch, *frame)) / 255
    mean, std = (np.reshape(v, (-1, 1, 1)) for v in (config.input_mean, config.input_std))
    return ((pixels - mean) / std).astype(np.float32)


def make_checkpoint(name: str, path: Path) -> None:
    """Write a checkpoint in the authors' layout whose every BatchNorm has seen a sample."""
    import torch

    from sdt_lava.families.sdt1.official_layout import official_tensors
    from sdt_lava.model import SpikeDrivenTransformer

    config = official(name)
    torch.manual_seed(_SEED)
    model = SpikeDrivenTransformer(config)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            # Its statistics become those of this sample.
            module.momentum = 1.0
            torch.nn.init.uniform_(module.weight, 0.7, 1.3)
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
    with torch.no_grad():
        model.train()(torch.from_numpy(sample(config)))
    own = model.state_dict()
    state = {
        key: own[key].reshape(shape) if key in own else torch.zeros(shape)
        for key, shape in official_tensors(config).items()
    }
    torch.save({"epoch": 0, "arch": "sdt", "state_dict": state, "version": 2}, path)


def measure(name: str, checkpoint: Path, net: Path) -> PresetRun:
    """Import, export, read and simulate one network."""
    import sdt_lava
    import sdt_lava.families.sdt1.transformer  # torch takes seconds to import: not counted
    import sdt_lava.quantize.export

    config = official(name)
    model, import_s = _timed(lambda: sdt_lava.load_model(checkpoint, config=name))
    export_s = _timed(lambda: sdt_lava.export(model, net))[1]
    model = None
    graph, read_s = _timed(lambda: sdt_lava.load_network(net))
    x = sample(config)
    result, first_s = _timed(lambda: sdt_lava.simulate(graph, x))
    rounds = [_timed(lambda: sdt_lava.simulate(graph, x))[1] for _ in range(_ENGINE_ROUNDS)]
    return PresetRun(
        name=name,
        parameters_m=published_parameters(config) / 1e6,
        tokens=config.num_tokens,
        timesteps=config.timesteps,
        import_s=import_s,
        export_s=export_s,
        read_s=read_s,
        engine_s=statistics.median(rounds),
        first_image_s=first_s,
        file_mb=net.stat().st_size / 1e6,
        peak_gib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        spikes=sum(int(spikes.sum()) for spikes in result.spikes.values()),
        silent=sum(not spikes.any() for spikes in result.spikes.values()),
    )


def published_parameters(config: SdtConfig) -> int:
    """Count the learned values of the authors' network, the unused talking_heads included."""
    from math import prod

    from sdt_lava.families.sdt1.official_layout import official_tensors

    learned = sum(
        prod(shape)
        for key, shape in official_tensors(config).items()
        if "running_" not in key and "num_batches" not in key
    )
    return learned + config.depth * config.num_heads**2


def _timed(function: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    result = function()
    return result, time.perf_counter() - started


def run_one(name: str) -> PresetRun:
    """Make a checkpoint in one process and measure in another."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["-m", "benchmarks.presets", name, "--folder", folder]
        for step in ("make", "measure"):
            output = run_python([*arguments, "--step", step], timeout=_TIME_LIMIT_S)
    return PresetRun(**json.loads(output))


def read_runs() -> dict[str, PresetRun]:
    """Return the runs of an earlier call by name."""
    if not OUTPUT.exists():
        return {}
    rows = json.loads(OUTPUT.read_text(encoding="utf-8"))["presets"]
    return {row["name"]: PresetRun(**row) for row in rows}


def write_runs(runs: dict[str, PresetRun]) -> None:
    """Write results and page, in the order of the presets."""
    ordered = [runs[name] for name in names() if name in runs]
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    write_json(OUTPUT, {"machine": machine(), "presets": [asdict(run) for run in ordered]})
    if PAGE.exists():
        page = filled(PAGE.read_text(encoding="utf-8"), OUTPUT.name, markdown(ordered))
        PAGE.write_text(page, encoding="utf-8")


_COLUMNS: dict[str, Callable[[PresetRun], str]] = {
    "preset": lambda run: f"`{run.name}`",
    "parameters [M]": lambda run: f"{run.parameters_m:.2f}",
    "tokens": lambda run: str(run.tokens),
    "T": lambda run: str(run.timesteps),
    "file [MB]": lambda run: f"{run.file_mb:.1f}",
    "export [s]": lambda run: f"{run.export_s:.1f}",
    "read [s]": lambda run: f"{run.read_s:.2f}",
    "engine [s/image]": lambda run: f"{run.engine_s:.2f}",
    "peak memory [GiB]": lambda run: f"{run.peak_gib:.1f}",
}


def markdown(runs: list[PresetRun]) -> str:
    """Return the table of the page."""
    lines = ["| " + " | ".join(_COLUMNS) + " |", "|---" * len(_COLUMNS) + "|"]
    for run in runs:
        lines.append("| " + " | ".join(text(run) for text in _COLUMNS.values()) + " |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure the presets asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all of the paper")
    parser.add_argument("--step", choices=("make", "measure"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    level = logging.ERROR if options.step else logging.INFO
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    unknown = sorted(set(options.names) - set(names()))
    if unknown:
        parser.error(f"no preset {unknown[0]!r} in the paper; there are {', '.join(names())}")
    if options.step:
        _step(options.step, options.names[0], options.folder)
        return 0
    runs = read_runs()
    chosen = options.names or names()
    for position, name in enumerate(chosen, 1):
        logger.info("%d/%d %s", position, len(chosen), name)
        runs[name] = run_one(name)
        write_runs(runs)
    _print(list(runs.values()))
    return 0


def _step(step: str, name: str, folder: Path) -> None:
    checkpoint = folder / "model_best.pth.tar"
    if step == "make":
        make_checkpoint(name, checkpoint)
    else:
        sys.stdout.write(json.dumps(asdict(measure(name, checkpoint, folder / "net.h5"))))


def _print(runs: list[PresetRun]) -> None:
    table = make_table("Networks of the paper", dict.fromkeys(_COLUMNS, "right"))
    for run in runs:
        table.add_row(*(text(run).strip("`") for text in _COLUMNS.values()))
    console = Console(highlight=False, width=160)
    console.print(table)
    console.print(f"written: {OUTPUT}, {PAGE}")


if __name__ == "__main__":
    sys.exit(main())
