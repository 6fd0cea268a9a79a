"""The whole chain on handwritten digits: train, export, run everywhere, compare every spike.

    python examples/demo.py --out runs/demo

Where Lava is installed its own processes run the network, too; everywhere the machine computes what
they do. Writes ``model.pt``, ``net.h5``, ``report.json`` and ``spikes.png``.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import sdt_lava
from sdt_lava.backends.lava.presence import has_lava
from sdt_lava.backends.result import Result, spike_differences
from sdt_lava.cli.allow import Command
from sdt_lava.cli.console import console, make_table, print_table, progress_bar, run_command
from sdt_lava.cli.places import WritesInto
from sdt_lava.cli.sim import print_synops
from sdt_lava.datasets import Dataset, load_dataset
from sdt_lava.errors import SdtLavaError
from sdt_lava.io.files import write_json
from sdt_lava.io.output_files import DEMO_FILES
from sdt_lava.report.figures import plot_run

ROOT = Path(__file__).resolve().parent.parent
WITHOUT_LAVA = (
    "Lava is not installed: the machine ran what Lava's processes would "
    "(pip install 'sdt-lava[lava]' on Python 3.10 adds them)"
)
# [s] A run of Lava that takes longer than this hangs.
LAVA_TIMEOUT = 900.0


class StepFailedError(SdtLavaError):
    """A command of the demo that did not succeed."""


def run_step(*command: str) -> None:
    """Show a command and run it."""
    shown = ["python" if part == sys.executable else part for part in command]
    console.print(f"\n$ {' '.join(shown)}", style="bold")
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    if status:
        raise StepFailedError(shown[0], f"exit code {status}", "0", "see the message above")


def integer_backends() -> tuple[str, ...]:
    """Return the back ends to compare; the last one is what stands for the hardware."""
    return ("reference", "engine", "machine", *(["lava"] if has_lava() else []))


def run_backends(network: Path, data: Dataset) -> dict[str, Result]:
    """Run the exported file on every integer back end."""
    net = sdt_lava.load_network(network)
    results = {}
    for backend in integer_backends():
        console.print(f"\n$ sdt-sim {network} --data digits --backend {backend}", style="bold")
        with progress_bar(backend) as update:
            limit = LAVA_TIMEOUT if backend == "lava" else None
            results[backend] = sdt_lava.simulate(
                net, data.x, backend, timeout=limit, on_progress=update
            )
        console.print(f"{len(data.x)} samples in {results[backend].seconds:.1f} s")
    return results


def accuracy(result: Result, data: Dataset) -> float:
    """Share of samples classified right."""
    return float(np.mean(result.labels == data.y))


def build_report(float_result: Result, results: dict[str, Result], data: Dataset) -> dict[str, Any]:
    """Collect what the demo shows."""
    pairs = list(combinations(results, 2))
    hardware = list(results)[-1]
    neuron_steps = sum(spikes.size for spikes in float_result.spikes.values())
    changed = spike_differences(float_result, results["engine"])
    return {
        "data": {"name": data.name, "part": "test", "samples": len(data.x)},
        "backends": list(results),
        "accuracy": {
            "float": accuracy(float_result, data),
            "quantized": accuracy(results["engine"], data),
            hardware: accuracy(results[hardware], data),
        },
        "spike_differences": {
            f"{left}-{right}": spike_differences(results[left], results[right])
            for left, right in pairs
        },
        "logit_differences": {
            f"{left}-{right}": int(np.sum(results[left].logits != results[right].logits))
            for left, right in pairs
        },
        "spikes_changed_by_quantization": {
            "spikes": changed,
            "neuron_steps": neuron_steps,
            "share": changed / neuron_steps,
        },
        "seconds": {name: result.seconds for name, result in results.items()},
        "synops": results[hardware].synops.to_dict(),
    }


def print_result(report: dict[str, Any], out: Path) -> None:
    """Print accuracies, differences and where the files are."""
    table = make_table("Accuracy", {"network": "left", "test accuracy": "right"})
    for name, value in report["accuracy"].items():
        table.add_row(name, f"{value:.2%}")
    print_table(table)
    table = make_table(
        "Differences between back ends",
        {"pair": "left", "spikes that differ": "right", "logits that differ": "right"},
    )
    for pair, count in report["spike_differences"].items():
        table.add_row(pair, str(count), str(report["logit_differences"][pair]))
    print_table(table)
    changed = report["spikes_changed_by_quantization"]
    console.print(
        f"rounding to 8 bit changed {changed['spikes']:,} of {changed['neuron_steps']:,} "
        f"spike decisions against the float model ({changed['share']:.2%})"
    )
    for name in ("model.pt", "net.h5", "report.json", "spikes.png"):
        console.print(f"  {out / name}")


def main(
    out: Annotated[
        Path, typer.Option(help="Folder for the results."), WritesInto(DEMO_FILES)
    ] = Path("runs/demo"),
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the training.")] = 0,
) -> None:
    """Train, export, simulate, compare."""
    out.mkdir(parents=True, exist_ok=True)
    model, network = out / "model.pt", out / "net.h5"
    training = [] if epochs is None else ["--epochs", str(epochs)]
    run_step(
        sys.executable, "examples/train_digits.py", "--out", str(model.resolve()),
        "--seed", str(seed), *training,
    )  # fmt: skip
    run_step(
        str(Path(sys.executable).with_name("sdt-export")),
        str(model.resolve()), "--out", str(network.resolve()),
    )  # fmt: skip
    data = load_dataset("digits", "test")
    results = run_backends(network, data)
    float_result = sdt_lava.simulate(sdt_lava.load_model(model), data.x)
    report = build_report(float_result, results, data)
    write_json(out / "report.json", report)
    shown = results[report["backends"][-1]]
    plot_run(shown, out / "spikes.png", labels=data.y)
    console.print()
    print_synops(shown.synops)
    print_result(report, out)
    if "lava" not in results:
        console.print(WITHOUT_LAVA)
    for kind in ("spike_differences", "logit_differences"):
        if any(report[kind].values()):
            raise StepFailedError(f"back ends: {kind}", str(report[kind]), "no difference")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(cls=Command)(main)
    run_command(app)
