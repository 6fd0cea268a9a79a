"""Firing rates from a CSV file."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from sdt_lava.errors import DataError
from sdt_lava.files import open_regular
from sdt_lava.limits import limits, remedy
from sdt_lava.report.formula import FormulaLayer

HEADER = ("name", "rate")


def read_rates(path: Path, layers: tuple[FormulaLayer, ...]) -> dict[str, float]:
    """Read firing rates.

    Parameters
    ----------
    path : path
        CSV with the header ``name,rate``. A name is a layer's (the rate of what it reads) or a
        population's; a rate is a fraction, spikes per neuron and step.
    layers : tuple of FormulaLayer
        Rows of the accounting, whose names and populations are allowed.

    Returns
    -------
    dict of str to float
        Rates by name.

    Raises
    ------
    DataError
        Naming the line that is wrong.
    """
    allowed = {layer.name for layer in layers} | {name for row in layers for name in row.inputs}
    rates: dict[str, float] = {}
    for line, row in enumerate(_rows(path), start=2):
        where = f"{path}, line {line}"
        if len(row) != len(HEADER):
            raise DataError(where, f"{len(row)} columns", f"two: {','.join(HEADER)}")
        name = row[0].strip()
        if name not in allowed:
            raise DataError(
                where, f"unknown name {name!r}", f"layers and populations: {sorted(allowed)}"
            )
        if name in rates:
            raise DataError(where, f"a second rate of {name!r}", "one rate a name")
        rates[name] = _rate(where, row[1])
    return rates


def _rows(path: Path) -> list[list[str]]:
    try:
        most = limits().rates_bytes
        with open_regular(path, DataError, "a CSV file") as file:
            data = file.read(most + 1)
        if len(data) > most:
            found = f"more than {most} bytes"
            raise DataError(str(path), found, "a row for each layer", remedy("rates_bytes"))
        lines = io.StringIO(data.decode("utf-8"), newline="")
        rows = [row for row in csv.reader(lines) if row]
    except OSError as error:
        raise DataError(str(path), f"cannot be read: {error.strerror}", "a CSV file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(str(path), f"no CSV: {error}", ",".join(HEADER)) from None
    if not rows or tuple(cell.strip() for cell in rows[0]) != HEADER:
        found = ",".join(rows[0])[:80] if rows else "nothing"
        raise DataError(f"{path}, line 1", repr(found), f"the header {','.join(HEADER)}")
    return rows[1:]


def _rate(where: str, text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        raise DataError(where, f"rate {text.strip()!r}", "a number") from None
    if not 0.0 <= rate <= 2.0:  # a layer may add up the rates of two operands
        raise DataError(where, f"rate {rate}", "a fraction, 0 to 1 (2 where two rates are added)")
    return rate
