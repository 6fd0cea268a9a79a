"""Show NIR files and checkpoints in ``sdt-lava info``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from sdt_lava.cli.console import console, print_plain_json
from sdt_lava.families.registry import family_of
from sdt_lava.support.text import printable, quoted

# First bytes of files that torch writes: a zip archive, or a pickle in older versions.
_TORCH = (b"PK\x03\x04", b"\x80\x02")
_SAFETENSORS, _NIR = ".safetensors", ".nir"


def is_checkpoint(path: Path) -> bool:
    """Return whether a file looks like a checkpoint, regardless of its name."""
    if path.suffix == _SAFETENSORS:
        return True
    try:
        with path.open("rb") as file:
            return file.read(4).startswith(_TORCH)
    except (OSError, ValueError):
        return False  # reading it as a network raises the reason


def is_nir(path: Path) -> bool:
    """Return whether a file is a NIR file, by its suffix."""
    return path.suffix == _NIR


def show_checkpoint(path: Path, config: str | None, *, json: bool) -> None:
    """Print the configuration of a checkpoint and the notes on its import."""
    from sdt_lava.families import load_with_report

    model, report = load_with_report(path, config)
    size = sum(parameter.numel() for parameter in model.parameters())
    lines = [] if report is None else [printable(line) for line in report.lines()]
    values = asdict(model.config)
    if json:
        plain: dict[str, Any] = {"file": str(path), "kind": "checkpoint", "parameters": size}
        print_plain_json({**plain, "config": values, "notes": lines})
        return
    title = family_of(model.config).title
    console.print(f"checkpoint of a {title}, {size:,} parameters")
    for key, value in values.items():
        console.print(printable(f"{key} = {value}"))
    for line in lines:
        console.print(line)
    network = path.with_suffix(".h5").name
    option = "" if config is None else f" --config {quoted(config)}"
    console.print(f"next: sdt-export {quoted(path)}{option} --out {quoted(network)}")
