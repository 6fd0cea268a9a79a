"""What quantization costs: accuracy on the digits, and spikes that change in recorded networks.

    python -m benchmarks.quantization [--models DIR]

writes ``benchmarks/results/quantization.json`` and the tables in ``docs/quantization.md``. Three
seeds of the digits network are trained (or read from ``DIR/m0.pt`` ...), exported with 8, 6 and 4
bits, with scales from the largest weights and chosen on 256 training samples, and fine-tuned with
4 bits. Accuracies are those of the integer engine on the 360 test images. The recorded networks are
the authors', with random weights; their own input is the calibration data.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from benchmarks.common import REPOSITORY, RESULTS, machine
from benchmarks.pages import filled
from sdt_lava.files import write_json
from sdt_lava.quantize.post_training import CalibrationData
from sdt_lava.quantize.report import QuantizationReport

OUTPUT = RESULTS / "quantization.json"
PAGE = REPOSITORY / "docs" / "quantization.md"
BITS = (8, 6, 4)
SEEDS = (0, 1, 2)
TUNED_BITS = 4
_SAMPLES = 256
_LABELS = {"largest": "largest weight", "chosen": "chosen", "per-channel": "chosen, per channel"}

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
    float_accuracy, accuracy : float or None
        Of the float model and of the integer network on the test data.
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
    float_accuracy: float | None
    accuracy: float | None
    forced: float
    free: float
    seconds: float


def shares(report: QuantizationReport) -> tuple[float, float]:
    """Return the shares of changed decisions of all layers, teacher-forced and free-running."""
    assert report.spikes is not None
    rows = report.spikes.layers
    decisions = sum(row.decisions for row in rows)
    return sum(row.forced for row in rows) / decisions, sum(row.free for row in rows) / decisions


def quantizations(model: Any, x: Any, name: str, seed: int | None, test: Any) -> list[QuantizedRun]:
    """Export one model with every width and every way to choose scales."""
    import sdt_lava

    reference = None if test is None else accuracy_of(model, test)
    runs = []
    for bits in BITS:
        for scales in _LABELS:
            data = CalibrationData(x, name, choose=scales != "largest")
            by_channel = scales == "per-channel"
            began = time.perf_counter()
            net, report = sdt_lava.to_network(model, bits, data, by_channel=by_channel)
            seconds = time.perf_counter() - began
            found = None if test is None else accuracy_of(net, test)
            row = (name, seed, bits, scales, reference, found, *shares(report), seconds)
            runs.append(QuantizedRun(*row))
            logger.info("%s", runs[-1])
    return runs


def accuracy_of(network: Any, test: Any) -> float:
    """Return the accuracy of a float model or an integer network."""
    import sdt_lava

    return float(np.mean(sdt_lava.simulate(network, test.x).labels == test.y))


def fine_tuned(model: Any, x: Any, seed: int, train: Any, test: Any) -> QuantizedRun:
    """Fine-tune one model and export the result."""
    import sdt_lava
    from sdt_lava.quantize.fine_tune import ROUNDED_OPTIONS, fine_tune

    options = replace(ROUNDED_OPTIONS, seed=seed)
    began = time.perf_counter()
    tuned, _ = fine_tune(model, train, test, TUNED_BITS, options)
    seconds = time.perf_counter() - began
    data = CalibrationData(x, "digits", choose=False)
    net, report = sdt_lava.to_network(tuned, TUNED_BITS, data)
    accuracies = accuracy_of(model, test), accuracy_of(net, test)
    row = ("digits", seed, TUNED_BITS, "fine-tuned", *accuracies, *shares(report), seconds)
    return QuantizedRun(*row)


def digits_runs(models: Path) -> list[QuantizedRun]:
    """Measure all seeds of the digits network."""
    from sdt_lava.checkpoint import load_model
    from sdt_lava.datasets import load_digits_split

    train, test = load_digits_split("train"), load_digits_split("test")
    runs = []
    for seed in SEEDS:
        path = models / f"m{seed}.pt"
        if not path.exists():
            _train(path, seed, train, test)
        model = load_model(path)
        runs += quantizations(model, train.x[:_SAMPLES], "digits", seed, test)
        runs.append(fine_tuned(model, train.x[:_SAMPLES], seed, train, test))
        logger.info("%s", runs[-1])
    return runs


def _train(path: Path, seed: int, train: Any, test: Any) -> None:
    from sdt_lava.model import SpikeDrivenTransformer, TrainingOptions, preset
    from sdt_lava.model import train as fit

    torch.manual_seed(seed)
    model = SpikeDrivenTransformer(preset("digits"))
    fit(model, train, test, TrainingOptions(seed=seed), checkpoint_path=path)


def recorded_runs() -> list[QuantizedRun]:
    """Measure the recorded networks in tests/data."""
    from sdt_lava.checkpoint import load_model
    from tests.checkpoint.official_cases import CASES, golden

    runs = []
    for name in CASES:
        case = golden(name)
        model = load_model(case.checkpoint)
        runs += quantizations(model, case.x.numpy(), name, None, None)
    return runs


def accuracy_table(runs: list[QuantizedRun]) -> str:
    """Return accuracies on the digits as Markdown: a column a seed, and their mean."""
    rows = [_row(["bits", "scales", *(f"seed {seed}" for seed in SEEDS), "mean", "mean - float"])]
    rows.append(_row(["---"] * (4 + len(SEEDS))))
    own = [run for run in runs if run.network == "digits"]
    reference = [next(r.float_accuracy or 0 for r in own if r.seed == s) for s in SEEDS]
    rows.append(_row(["float", "", *_percents(reference), ""]))
    for bits in BITS:
        for scales in (*_LABELS, "fine-tuned"):
            found = [r.accuracy or 0.0 for r in own if (r.bits, r.scales) == (bits, scales)]
            if found:
                change = 100 * (statistics.mean(found) - statistics.mean(reference))
                label = _LABELS.get(scales, scales)
                rows.append(_row([str(bits), label, *_percents(found), f"{change:+.2f}"]))
    return "\n".join(rows)


def spike_table(runs: list[QuantizedRun]) -> str:
    """Return shares of changed spikes as Markdown: teacher-forced / free-running."""
    names = list(dict.fromkeys(run.network for run in runs))
    rows = [_row(["bits", "scales", *names]), _row(["---"] * (2 + len(names)))]
    for bits in BITS:
        for scales in _LABELS:
            cells = []
            for name in names:
                found = [r for r in runs if (r.network, r.bits, r.scales) == (name, bits, scales)]
                forced, free = (
                    statistics.mean(getattr(run, field) for run in found)
                    for field in ("forced", "free")
                )
                cells.append(f"{forced:.2%} / {free:.2%}")
            rows.append(_row([str(bits), _LABELS[scales], *cells]))
    return "\n".join(rows)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _percents(values: list[float]) -> list[str]:
    return [f"{value:.2%}" for value in (*values, statistics.mean(values))]


def read_runs() -> list[QuantizedRun]:
    """Return the runs of the last call."""
    rows = json.loads(OUTPUT.read_text(encoding="utf-8"))["runs"]
    return [QuantizedRun(**row) for row in rows]


def write_tables(runs: list[QuantizedRun]) -> None:
    """Put the tables into the document."""
    text = PAGE.read_text(encoding="utf-8")
    for name, table in (("accuracy", accuracy_table(runs)), ("spikes", spike_table(runs))):
        text = filled(text, f"quantization.json: {name}", f"{table}\n")
    PAGE.write_text(text, encoding="utf-8")


def main() -> int:
    """Measure, write the results and the document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=REPOSITORY / "runs" / "quantization")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    logger.setLevel(logging.INFO)
    torch.set_num_threads(1)
    arguments.models.mkdir(parents=True, exist_ok=True)
    runs = [*recorded_runs(), *digits_runs(arguments.models)]
    write_json(OUTPUT, {"machine": machine(), "runs": [asdict(run) for run in runs]})
    write_tables(runs)
    Console().print(f"wrote {OUTPUT} and the tables in {PAGE}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
