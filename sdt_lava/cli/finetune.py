"""``sdt-lava finetune`` and ``sdt-lava convert``: modify a trained model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from sdt_lava.cli.console import console
from sdt_lava.cli.data import (
    Binning,
    DataRoot,
    Download,
    Ema,
    FirstLayer,
    check_parts,
    load_fitting,
    load_imported,
    model_takes,
)
from sdt_lava.cli.places import Reads, ReadsConfig, ReadsData, Writes
from sdt_lava.cli.train import training_progress
from sdt_lava.errors import ConfigError
from sdt_lava.support.text import quoted

_LARGEST_SEED = 2**63 - 1


def finetune_command(
    model: Annotated[Path, typer.Argument(help="Checkpoint of a trained model."), Reads()],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Checkpoint to write."), Writes((".resume",))
    ],
    data: Annotated[str, typer.Option(help="Data set name or .npz file with x, y."), ReadsData()],
    bits: Annotated[
        int | None,
        typer.Option(help="Train with weights rounded to this width; without it, in float."),
    ] = None,
    test_data: Annotated[str | None, typer.Option(help="Data to test on."), ReadsData()] = None,
    config: Annotated[
        str | None,
        typer.Option(help="Preset or file, for checkpoints without a configuration."),
        ReadsConfig(),
    ] = None,
    first_layer: FirstLayer = "full",
    ema: Ema = False,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the data.")] = None,
    lr: Annotated[float | None, typer.Option(help="Largest learning rate.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=_LARGEST_SEED, help="Order of samples.")] = 0,
    data_root: DataRoot = None,
    download: Download = False,
    binning: Binning = None,
) -> None:
    """Continue training a model with the rounded weights that will be exported."""
    from sdt_lava.datasets import SourceOptions
    from sdt_lava.quantize.calibration import levels_note, with_levels_of
    from sdt_lava.training.fine_tune import FINE_TUNE_OPTIONS, ROUNDED_OPTIONS, fine_tune
    from sdt_lava.training.training import train

    if bits is None and first_layer != "full":
        raise ConfigError(
            "--first-layer", f"{first_layer} without --bits", "an option of rounded weights",
            "add --bits N, or give it to sdt-export",
        )  # fmt: skip
    if test_data is None:
        check_parts(data)
    network = load_imported(model, config, ema=ema)
    source = SourceOptions(root=data_root, download=download, binning=binning)
    takes = model_takes(network.config)
    parts = (
        load_fitting(data, "train", takes, source),
        load_fitting(test_data or data, "test", takes, source),
    )
    options = FINE_TUNE_OPTIONS if bits is None else ROUNDED_OPTIONS
    options = replace(
        options,
        epochs=epochs or options.epochs,
        learning_rate=lr or options.learning_rate,
        seed=seed,
    )
    with training_progress(options.epochs) as show:
        if bits is None:
            network = with_levels_of(
                network, parts[0].x, f"the training samples of {parts[0].name}"
            )
            result = train(network, *parts, options, checkpoint_path=out, on_progress=show)
        else:
            network, result = fine_tune(
                network, *parts, bits, options,
                first_layer=first_layer, checkpoint_path=out, on_progress=show,
            )  # fmt: skip
    kind = "in float" if bits is None else f"of the exported network, {bits}-bit weights"
    if network.levels_from:
        console.print(levels_note(network), markup=False)
    console.print(f"test accuracy {kind}: {result.test_accuracy:.2%}")
    option = "" if bits is None else f" --bits {bits}"
    option += "" if bits is None or first_layer == "full" else f" --first-layer {first_layer}"
    console.print(f"next: sdt-export {quoted(out)} --out {quoted(out.with_suffix('.h5'))}{option}")


def convert_command(
    model: Annotated[Path, typer.Argument(help="Checkpoint, such as an imported one."), Reads()],
    pooling: Annotated[str, typer.Option(help="or (pool spikes) or stride (convolutions).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Checkpoint to write."), Writes()],
    config: Annotated[
        str | None,
        typer.Option(help="Preset or file, for checkpoints without a configuration."),
        ReadsConfig(),
    ] = None,
    ema: Ema = False,
) -> None:
    """Replace the max-pool of the pre-activation by an operation that Loihi 2 supports."""
    from sdt_lava.families import save_checkpoint
    from sdt_lava.training.fine_tune import convert_pooling

    converted = convert_pooling(load_imported(model, config, ema=ema), pooling)
    save_checkpoint(out, converted)
    console.print(f"wrote {out}: the same weights, pooling '{pooling}'; its spikes differ")
    data = converted.config.dataset or "DATA"
    tuned = out.with_name(f"tuned-{out.name}")
    console.print(
        f"next: sdt-lava finetune {quoted(out)} --data {quoted(data)} --out {quoted(tuned)}"
    )
