"""What quantization costs: accuracy on the digits, and spikes that change in recorded networks.

    python -m benchmarks.quantization [--models DIR] [NAME ...]

writes ``benchmarks/results/quantization.json`` and the tables in ``docs/quantization.md``. Three
seeds of the digits network are trained (or read from ``DIR/m0.pt`` ...), exported with 8, 6 and 4
bits, with scales from the largest weights and chosen on 256 training samples, and fine-tuned with
4 bits. Accuracies are those of the integer engine on the 360 test images. The recorded networks are
the authors', with random weights; their own input is the calibration data. All are also exported
with fitted weights in the first layer; of the digits network this is done with an input of 255
levels, as images of 8 bits have, which the same float model reads. ``NAME`` is a recorded case or
``digits-SEED``; by default all are measured.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from itertools import product
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from benchmarks.common import REPOSITORY, RESULTS, machine
from benchmarks.pages import filled
from sdt_lava.io.files import write_json
from sdt_lava.quantize.post_training import CalibrationData

OUTPUT = RESULTS / "quantization.json"
PAGE = REPOSITORY / "docs" / "quantization.md"
BITS = (8, 6, 4)
SEEDS = (0, 1, 2)
TUNED_BITS = 4
_SAMPLES = 256
# Name of the digits network that reads images of 8 bits.
IMAGES = "digits, 255 levels"
_LABELS = {"largest": "largest weight", "chosen": "chosen", "per-channel": "chosen, per channel"}
_USUAL = [(scales, "full") for scales in _LABELS]
_FIRST = [(scales, way) for scales in ("largest", "chosen") for way in ("full", "fitted")]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class QuantizedRun:
    """One quantization of one network.

    Parameters
    ----------
    network : str
        Recorded case, or 'digits' and its seed.
    seed : int or None
        Of the training and of the order of samples in fine-tuning.
    bits : int
        Width of a weight.
    scales : {'largest', 'chosen', 'per-channel', 'fine-tuned'}
        How weights were rounded.
    first_layer : {'full', 'fitted'}
        How the first layer's weights were rounded.
    steps : int
        Steps on either side of 0 that the first layer's weights have.
    float_correct, correct, samples : int or None
        Right answers of the float model and of the integer network, and test samples.
    first : float
        Share of the decisions of the first neurons that differ, teacher-forced.
    forced, free : float
        Shares of the decisions that differ from the float model's (after fine-tuning: from the
        fine-tuned model's), teacher-forced and free-running, on the calibration data.
    seconds : float
        Of export, or of fine-tuning.
    """

    network: str
    seed: int | None
    bits: int
    scales: str
    first_layer: str
    steps: int
    float_correct: int | None
    correct: int | None
    samples: int | None
    first: float
    forced: float
    free: float
    seconds: float


def quantized(
    model: Any, x: Any, case: tuple[str, int | None], bits: int, scales: str, first_layer: str
) -> tuple[Any, dict[str, Any]]:
    """Export one model in one way; return the network and what is known without test data."""
    import sdt_lava
    from sdt_lava.quantize.weight_format import WeightFormat

    data = CalibrationData(x, case[0], choose=scales in ("chosen", "per-channel"))
    by_channel = scales == "per-channel"
    began = time.perf_counter()
    net, report = sdt_lava.to_network(
        model, bits, data, by_channel=by_channel, first_layer=first_layer
    )
    seconds = time.perf_counter() - began
    assert report.spikes is not None
    rows = report.spikes.layers
    decisions = sum(row.decisions for row in rows)
    return net, {
        "network": case[0],
        "seed": case[1],
        "bits": bits,
        "scales": scales,
        "first_layer": first_layer,
        "steps": report.synapses[0].largest_weight // WeightFormat(bits).step,
        "first": rows[0].forced / rows[0].decisions,
        "forced": sum(row.forced for row in rows) / decisions,
        "free": sum(row.free for row in rows) / decisions,
        "seconds": seconds,
    }


def quantizations(
    model: Any, x: Any, case: tuple[str, int | None], ways: Iterable[tuple[str, str]], test: Any
) -> list[QuantizedRun]:
    """Export one model with every width, in some ways to choose scales and first layers."""
    reference = None if test is None else correct_of(model, test)
    runs = []
    for bits, (scales, first_layer) in product(BITS, ways):
        net, found = quantized(model, x, case, bits, scales, first_layer)
        runs.append(_run(found, net, reference, test))
    return runs


def _run(found: dict[str, Any], net: Any, reference: int | None, test: Any) -> QuantizedRun:
    correct, samples = (None, None) if test is None else (correct_of(net, test), len(test.y))
    run = QuantizedRun(float_correct=reference, correct=correct, samples=samples, **found)
    logger.info("%s", run)
    return run


def correct_of(network: Any, test: Any) -> int:
    """Count the right answers of a float model or an integer network."""
    import sdt_lava

    return int(np.sum(sdt_lava.simulate(network, test.x).labels == test.y))


def fine_tuned(model: Any, x: Any, seed: int, train: Any, test: Any) -> QuantizedRun:
    """Fine-tune one model and export the result."""
    from sdt_lava.training.fine_tune import ROUNDED_OPTIONS, fine_tune

    options = replace(ROUNDED_OPTIONS, seed=seed)
    began = time.perf_counter()
    tuned, result = fine_tune(model, train, test, TUNED_BITS, options)
    seconds = time.perf_counter() - began
    net, found = quantized(tuned, x, ("digits", seed), TUNED_BITS, "fine-tuned", "full")
    run = _run({**found, "seconds": seconds}, net, correct_of(model, test), test)
    assert run.correct == round(result.test_accuracy * len(test.y)), "not what was announced"
    return run


def digits_runs(models: Path, seed: int) -> list[QuantizedRun]:
    """Measure one seed of the digits network."""
    from sdt_lava.datasets import load_digits_split
    from sdt_lava.families import load_model

    train, test = load_digits_split("train"), load_digits_split("test")
    path = models / f"m{seed}.pt"
    if not path.exists():
        _train(path, seed, train, test)
    model, x = load_model(path), train.x[:_SAMPLES]
    runs = quantizations(model, x, ("digits", seed), _USUAL, test)
    runs.append(fine_tuned(model, x, seed, train, test))
    model.config = replace(model.config, input_scale=255.0, input_range=(0, 255))
    return [*runs, *quantizations(model, x, (IMAGES, seed), _FIRST, test)]


def _train(path: Path, seed: int, train: Any, test: Any) -> None:
    from sdt_lava.model import SpikeDrivenTransformer, TrainingOptions, preset
    from sdt_lava.model import train as fit

    torch.manual_seed(seed)
    model = SpikeDrivenTransformer(preset("digits"))
    fit(model, train, test, TrainingOptions(seed=seed), checkpoint_path=path)


def recorded_runs(name: str) -> list[QuantizedRun]:
    """Measure one of the recorded networks in tests/data."""
    from sdt_lava.families import load_model
    from tests.families.sdt1.official_cases import golden

    case = golden(name)
    model = load_model(case.checkpoint)
    ways = dict.fromkeys([*_USUAL, *_FIRST])
    return quantizations(model, case.x.numpy(), (name, None), ways, None)


def accuracy_table(runs: list[QuantizedRun]) -> str:
    """Return accuracies on the digits as Markdown: a column a seed, and all together."""
    header = ["bits", "scales", *(f"seed {seed}" for seed in SEEDS), "together", "- float"]
    rows = [_row(header), _row(["---"] * len(header))]
    own = [run for run in runs if run.network == "digits"]
    reference = [next(r for r in own if r.seed == seed) for seed in SEEDS]
    before = sum(r.float_correct or 0 for r in reference)
    cells, together = _accuracies([(r.float_correct or 0, r.samples or 1) for r in reference])
    rows.append(_row(["float", "", *cells, together, ""]))
    for bits in BITS:
        for scales in (*_LABELS, "fine-tuned"):
            found = [r for r in own if (r.bits, r.scales) == (bits, scales)]
            if found:
                cells, together = _accuracies([(r.correct or 0, r.samples or 1) for r in found])
                samples = sum(r.samples or 0 for r in found)
                change = 100 * (sum(r.correct or 0 for r in found) - before) / samples
                label = _LABELS.get(scales, scales)
                rows.append(_row([str(bits), label, *cells, together, f"{change:+.2f}"]))
    return "\n".join(rows)


def _accuracies(counts: list[tuple[int, int]]) -> tuple[list[str], str]:
    """Return the accuracy of each network, and of all together with its interval."""
    correct, samples = (sum(values) for values in zip(*counts, strict=True))
    low, high = wilson(correct, samples)
    together = f"{correct / samples:.2%} ({100 * low:.1f} to {100 * high:.1f})"
    return [f"{part / whole:.2%}" for part, whole in counts], together


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the Wilson score interval of a share, at 95 %."""
    z = 1.959964
    share, room = successes / trials, z * z / trials
    middle = share + room / 2
    half = z * sqrt(share * (1 - share) / trials + room / (4 * trials))
    return (middle - half) / (1 + room), (middle + half) / (1 + room)


def spike_table(runs: list[QuantizedRun]) -> str:
    """Return shares of changed spikes as Markdown: teacher-forced / free-running."""
    runs = [run for run in runs if run.first_layer == "full" and run.network != IMAGES]
    names = list(dict.fromkeys(run.network for run in runs))
    rows = [_row(["bits", "scales", *names]), _row(["---"] * (2 + len(names)))]
    for bits in BITS:
        for scales in _LABELS:
            cells = []
            for name in names:
                found = [r for r in runs if (r.network, r.bits, r.scales) == (name, bits, scales)]
                cells.append(f"{_mean(found, 'forced'):.2%} / {_mean(found, 'free'):.2%}")
            rows.append(_row([str(bits), _LABELS[scales], *cells]))
    return "\n".join(rows)


def first_table(runs: list[QuantizedRun]) -> str:
    """Return what full weights in the first layer buy, as Markdown: full / fitted."""
    header = ["network", "bits", "scales", "steps", "first layer", "all layers", "accuracy"]
    rows = [_row(header), _row(["---"] * len(header))]
    ways = [(scales, bits) for bits in BITS for scales in ("largest", "chosen")]
    pairs = {(r.network, r.bits, r.scales) for r in runs if r.first_layer == "fitted"}
    for name in dict.fromkeys(run.network for run in runs):
        for scales, bits in ways:
            if (name, bits, scales) not in pairs:
                continue
            case = [r for r in runs if (r.network, r.bits, r.scales) == (name, bits, scales)]
            both = [[r for r in case if r.first_layer == way] for way in ("full", "fitted")]
            steps = " / ".join(_range([r.steps for r in found]) for found in both)
            first = " / ".join(f"{_mean(found, 'first'):.2%}" for found in both)
            free = " / ".join(f"{_mean(found, 'free'):.2%}" for found in both)
            right = " / ".join(map(_together, both)) if case[0].samples else ""
            rows.append(_row([f"`{name}`", str(bits), _LABELS[scales], steps, first, free, right]))
    return "\n".join(rows)


def _together(found: list[QuantizedRun]) -> str:
    return _accuracies([(r.correct or 0, r.samples or 1) for r in found])[1]


def _range(values: list[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def _mean(found: list[QuantizedRun], field: str) -> float:
    return statistics.mean(getattr(run, field) for run in found)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def read_runs() -> list[QuantizedRun]:
    """Return the runs of earlier calls."""
    rows = json.loads(OUTPUT.read_text(encoding="utf-8"))["runs"]
    return [QuantizedRun(**row) for row in rows]


TABLES = {"accuracy": accuracy_table, "spikes": spike_table, "first layers": first_table}


def write_tables(runs: list[QuantizedRun]) -> None:
    """Put the tables into the document."""
    text = PAGE.read_text(encoding="utf-8")
    for name, table in TABLES.items():
        text = filled(text, f"quantization.json: {name}", f"{table(runs)}\n")
    PAGE.write_text(text, encoding="utf-8")


def cases() -> dict[str, tuple[str, int | None]]:
    """Return network and seed of everything that can be measured, by the name to ask for it."""
    from tests.families.sdt1.official_cases import CASES

    digits = {f"digits-{seed}": ("digits", seed) for seed in SEEDS}
    return {**{name: (name, None) for name in CASES}, **digits}


def main() -> int:
    """Measure, write the results and the document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument("--models", type=Path, default=REPOSITORY / "runs" / "quantization")
    arguments = parser.parse_args()
    known = cases()
    unknown = sorted(set(arguments.names) - set(known))
    if unknown:
        parser.error(f"no {unknown[0]!r}; there are {', '.join(known)}")
    logging.basicConfig(level=logging.WARNING)
    logger.setLevel(logging.INFO)
    torch.set_num_threads(1)
    arguments.models.mkdir(parents=True, exist_ok=True)
    runs = read_runs() if arguments.names else []
    order = [*known.values(), *((IMAGES, seed) for seed in SEEDS)]
    for name in arguments.names or known:
        network, seed = known[name]
        found = recorded_runs(name) if seed is None else digits_runs(arguments.models, seed)
        mine = {(run.network, run.seed) for run in found}
        runs = [run for run in runs if (run.network, run.seed) not in mine] + found
        runs.sort(key=lambda run: order.index((run.network, run.seed)))
        write_json(OUTPUT, {"machine": machine(), "runs": [asdict(run) for run in runs]})
    write_tables(runs)
    Console().print(f"wrote {OUTPUT} and the tables in {PAGE}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
