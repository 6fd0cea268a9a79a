"""Energy models: the cost of each kind of operation, with the source of every constant.

There is no model for Loihi 2, because its energy per operation has not been published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from sdt_lava.errors import EnergyModelError
from sdt_lava.io.toml_tables import TomlTable, read_description

ENERGY_MODELS = ("horowitz45-fp32", "horowitz45-int8", "loihi1")

# Operations that can be counted, with a description of one operation.
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
# More than any operation of any chip takes; a larger number is a wrong unit.
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
        Source of the number.
    """

    pj: float
    source: str


@dataclass(frozen=True)
class EnergyModel:
    """A table of costs.

    Parameters
    ----------
    name : str
        Short name, as accepted by ``--model``.
    title, source : str
        Display name, and source of the table.
    assumptions : tuple of str
        Assumptions of the model.
    costs : mapping of str to Cost
        Costs by operation, as in `OPERATIONS`; operations without a cost are counted and reported,
        but not charged.
    """

    name: str
    title: str
    source: str
    assumptions: tuple[str, ...]
    costs: Mapping[str, Cost]


def load_energy_model(name: str | Path) -> EnergyModel:
    """Load an energy model by name or from a TOML file.

    Parameters
    ----------
    name : str or path
        One of `ENERGY_MODELS`, or the path of a ``.toml`` file in the same format.

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
    """Parse an energy model.

    Parameters
    ----------
    name : str
        Name of the model.
    text : str
        The table, in TOML.

    Raises
    ------
    EnergyModelError
        If an entry is missing, unknown or out of range; the error names the first one.
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
