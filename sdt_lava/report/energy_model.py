"""Energy models: what each kind of operation costs, with the source of every constant.

There is none for Loihi 2: nobody has published its energy per operation, so none is printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from sdt_lava.errors import EnergyModelError
from sdt_lava.io.toml_tables import TomlTable, read_description

ENERGY_MODELS = ("horowitz45-fp32", "horowitz45-int8", "loihi1")

# What can be counted, and what one unit of each count is.
OPERATIONS: Mapping[str, str] = {
    "mac": "multiplication of a weight by a graded value, and its addition",
    "accumulate": "addition of a weight because a spike arrived",
    "mask": "spike that arrives at a mask (AND) neuron",
    "token_sum": "spike that is added to a sum over tokens",
    "pool": "spike that arrives at an OR-pool neuron",
    "shortcut": "graded value that is added to a membrane shortcut",
    "neuron_update_active": "update of a neuron that fires in that step",
    "neuron_update_inactive": "update of a neuron that does not fire in that step",
    "spike_between_cores": "message that a neuron sends to another core",
    "hop": "step of a message from core to core, or over the border of a chip",
}
# More than any operation of any chip; a larger number is a mistake of unit.
_MAX_PICOJOULE = 1e9
_TOP_KEYS = {"title", "source", "assumptions", "costs"}


@dataclass(frozen=True)
class Cost:
    """Cost of one operation.

    Parameters
    ----------
    pj : float
        Energy [pJ].
    source : str
        Where the number was read.
    """

    pj: float
    source: str


@dataclass(frozen=True)
class EnergyModel:
    """A table of costs.

    Parameters
    ----------
    name : str
        Short name, as ``--model`` takes it.
    title, source : str
        Name for people, and where the table was read.
    assumptions : tuple of str
        What one believes by using it.
    costs : mapping of str to Cost
        By operation, as in `OPERATIONS`; what is missing is counted, reported, and not charged.
    """

    name: str
    title: str
    source: str
    assumptions: tuple[str, ...]
    costs: Mapping[str, Cost]


def load_energy_model(name: str | Path) -> EnergyModel:
    """Return an energy model by name or from a TOML file.

    Parameters
    ----------
    name : str or path
        One of `ENERGY_MODELS`, or the path of a ``.toml`` file of the same form.

    Raises
    ------
    EnergyModelError
        If there is no such model, or its file is not valid.
    """
    if str(name) in ENERGY_MODELS:
        files = resources.files("sdt_lava.report").joinpath("energy_models")
        text = files.joinpath(f"{name}.toml").read_text(encoding="utf-8")
        return read_energy_model(str(name), text)
    if "loihi2" in str(name).lower().replace(" ", ""):
        raise EnergyModelError(
            "energy model",
            repr(str(name)),
            f"one of {list(ENERGY_MODELS)}, or a .toml file",
            "no energy per operation of Loihi 2 has been published; counts of each core and a "
            "lower bound of the runtime: --target loihi2 --runtime FILE",
        )
    path = Path(name)
    if path.suffix != ".toml":
        raise EnergyModelError(
            "energy model", repr(str(name)), f"one of {list(ENERGY_MODELS)}, or a .toml file"
        )
    return read_energy_model(path.stem, read_description(path, EnergyModelError))


def read_energy_model(name: str, text: str) -> EnergyModel:
    """Read an energy model.

    Parameters
    ----------
    name : str
        Its name.
    text : str
        The table, in TOML.

    Raises
    ------
    EnergyModelError
        Naming the first entry that is missing, unknown or out of range.
    """
    table = TomlTable.parse(f"energy model {name!r}", text, EnergyModelError)
    table.check_keys(_TOP_KEYS, required={"title", "source", "costs"})
    return EnergyModel(
        name=name,
        title=table.text("title"),
        source=table.text("source"),
        assumptions=table.texts("assumptions"),
        costs={key: _cost(key, cost) for key, cost in table.tables("costs", "cost").items()},
    )


def _cost(operation: str, table: TomlTable) -> Cost:
    if operation not in OPERATIONS:
        raise EnergyModelError(
            table.where, "no operation of that name", f"one of {sorted(OPERATIONS)}"
        )
    table.check_keys({"pj", "source"}, required={"pj", "source"})
    return Cost(table.number("pj", 0.0, _MAX_PICOJOULE), table.text("source"))
