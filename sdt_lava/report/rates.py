"""Read and write CSV files of firing rates, with our names or those of the authors' monitors."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from sdt_lava.counts.counts import Counts
from sdt_lava.errors import DataError
from sdt_lava.families.formula import FormulaLayer
from sdt_lava.io.files import open_regular, replacing
from sdt_lava.io.limits import limits, remedy

HEADER = ("name", "rate")
# Populations of a network by block, including those that the formula does not need.
_POPULATIONS = {
    "patch_embed": (
        *(f"{name}{stage}" for name in ("proj_lif", "maxpool") for stage in ("", "1", "2", "3")),
        "proj_conv3.relay", "shortcut", "rpe_lif",
    ),
    "attn": (
        "shortcut_lif", "q_lif", "k_lif", "v_lif", "k_dilate", "v_dilate", "kv", "kv_dilate",
        "token_sum", "talking_heads_lif", "mask", "mask_dilate", "shortcut", "attn_lif", "proj_lif",
    ),
    "mlp": ("fc1_lif", "fc2_lif", "inner_shortcut", "shortcut"),
    "head": ("relay", "token_mean"),
}  # fmt: skip
# Names that the authors' code passes to its monitors (``hook`` in module/*.py). Their k and v are
# recorded after the dilations of dvs_mode, and so is the input of the projection.
_AUTHORS = (
    (re.compile(r"MS_SPS_lif([123]?)"), r"patch_embed.proj_lif\1"),
    (re.compile(r"MS_SSA_Conv(\d+)_first_lif"), r"block.\1.attn.shortcut_lif"),
    (re.compile(r"MS_SSA_Conv(\d+)_q_lif"), r"block.\1.attn.q_lif"),
    (re.compile(r"MS_SSA_Conv(\d+)_([kv])_lif"), r"block.\1.attn.\2_{spikes}"),
    (re.compile(r"MS_SSA_Conv(\d+)_kv_before"), r"block.\1.attn.kv"),
    (re.compile(r"MS_SSA_Conv(\d+)_kv"), r"block.\1.attn.talking_heads_lif"),
    (re.compile(r"MS_SSA_Conv(\d+)_x_after_qkv"), r"block.\1.attn.mask{dilate}"),
    (re.compile(r"MS_MLP_Conv(\d+)_fc([12])_lif"), r"block.\1.mlp.fc\2_lif"),
)
_WRITTEN_KINDS = ("lif", "gate")


def read_rates(
    path: Path, layers: tuple[FormulaLayer, ...], ignored: list[str] | None = None
) -> dict[str, float]:
    """Read a CSV file of firing rates.

    Parameters
    ----------
    path : path
        CSV file with the header ``name,rate``. A name is that of a layer (for the rate of its
        input) or of a population, as in ``result.spikes`` or in the authors' monitors; a rate is a
        fraction, spikes per neuron and step.
    layers : tuple of FormulaLayer
        Rows of the accounting, whose names and populations are accepted.
    ignored : list of str, optional
        List to which the names of populations with unneeded rates are appended.

    Returns
    -------
    dict of str to float
        The needed rates, by our names.

    Raises
    ------
    DataError
        If a line is wrong; the error names the line.
    """
    inputs = (name for row in layers for name in (*row.inputs, *row.pooled_inputs))
    required = {layer.name for layer in layers} | set(inputs)
    optional = set(_populations(layers))
    rates: dict[str, float] = {}
    for line, row in enumerate(_rows(path), start=2):
        where = f"{path}, line {line}"
        if len(row) != len(HEADER):
            raise DataError(where, f"{len(row)} columns", f"two: {','.join(HEADER)}")
        label = row[0].strip()
        name = _our_name(label, layers)
        if name not in required and name not in optional:
            raise DataError(
                where, f"unknown name {label[:80]!r}", _allowed(layers), "see docs/energy.md, Rates"
            )
        if name in rates:
            raise DataError(where, f"a second rate of {label!r}", "one rate a name")
        rates[name] = _rate(where, row[1])
    if ignored is not None:
        ignored += (name for name in rates if name not in required)
    return {name: rate for name, rate in rates.items() if name in required}


def write_rates(path: Path, counts: Counts) -> None:
    """Write the rate of every population of spikes in a run, in the format of `read_rates`.

    Parameters
    ----------
    path : path
        CSV file; an existing file is replaced atomically.
    counts : Counts
        Counts of a run, for neurons and gates that pass spikes on (pools, masks).

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    rows = [(layer.name, layer.rate) for layer in counts.layers if layer.kind in _WRITTEN_KINDS]
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *((name, repr(rate)) for name, rate in rows)])


def _populations(layers: tuple[FormulaLayer, ...]) -> Iterator[str]:
    """Yield all populations that a network with these layers can have."""
    yield from ("input", "head_lif")
    for block in {layer.block for layer in layers}:
        for name in _POPULATIONS.get(block.rpartition(".")[2], ()):
            yield f"{block}.{name}"


def _our_name(name: str, layers: tuple[FormulaLayer, ...]) -> str:
    """Return our name for a population of the authors' monitors, or the name itself."""
    dilates = any(name.endswith("_dilate") for layer in layers for name in layer.inputs)
    words = {"spikes": "dilate" if dilates else "lif", "dilate": "_dilate" if dilates else ""}
    for pattern, ours in _AUTHORS:
        if pattern.fullmatch(name):
            return pattern.sub(ours, name).format(**words)
    return name


def _allowed(layers: tuple[FormulaLayer, ...]) -> str:
    blocks = sum(layer.kind == "sdsa" for layer in layers)
    return (
        "layers and populations of the network, such as 'patch_embed.proj_lif', "
        f"'block.0.attn.k_lif' (blocks 0 to {blocks - 1}), 'head_lif'; or the authors' "
        "'MS_SPS_lif', 'MS_SSA_Conv0_k_lif'"
    )


def _rows(path: Path) -> list[list[str]]:
    try:
        limit = limits().rates_bytes
        with open_regular(path, DataError, "a CSV file") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            problem = f"more than {limit} bytes"
            raise DataError(str(path), problem, "a row for each layer", remedy("rates_bytes"))
        lines = io.StringIO(data.decode("utf-8"), newline="")
        rows = [row for row in csv.reader(lines) if row]
    except OSError as error:
        raise DataError(str(path), f"cannot be read: {error.strerror}", "a CSV file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(str(path), f"no CSV: {error}", ",".join(HEADER)) from None
    if not rows or tuple(cell.strip() for cell in rows[0]) != HEADER:
        problem = ",".join(rows[0])[:80] if rows else "nothing"
        raise DataError(f"{path}, line 1", repr(problem), f"the header {','.join(HEADER)}")
    return rows[1:]


def _rate(where: str, text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        raise DataError(where, f"rate {text.strip()!r}", "a number") from None
    if not 0.0 <= rate <= 2.0:  # a layer may add up the rates of two operands
        raise DataError(where, f"rate {rate}", "a fraction, 0 to 1 (2 where two rates are added)")
    return rate
