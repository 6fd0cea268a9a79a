"""Runtime models: lower bounds of the time of a step on hardware, from user-defined coefficients.

Timcheck, Pierro and Shrestha (arXiv 2601.10035) describe the time of a step of Loihi 2 as a maximum
of affine functions of the work of the cores and the traffic between them. The coefficients depend
on a chip and its software; none are built in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sdt_lava.errors import RuntimeModelError
from sdt_lava.io.toml_tables import TomlTable, read_description

# Counts that a term may depend on. All except the last two are those of the core with the most.
COUNTS: Mapping[str, str] = {
    "synops": "synaptic operations of a core in a step",
    "neuron_updates": "neurons of a core: all are updated in every step",
    "messages_out": "messages that a core sends to other cores in a step",
    "messages_in": "messages that a core receives from other cores and the host in a step",
    "hops": "hops of all messages in a step: the load of the network of cores and chips",
    "step": "nothing: what every step takes, such as synchronisation",
}
# A second per step or per operation is a wrong unit.
_MAX_NS = 1e9


@dataclass(frozen=True)
class RuntimeTerm:
    """A lower bound of the time of a step: ``base + per_unit * count``.

    Parameters
    ----------
    base_ns : float
        Time for a count of 0 [ns].
    per_unit_ns : float
        Additional time per count [ns].
    source : str
        Source of both numbers.
    """

    base_ns: float
    per_unit_ns: float
    source: str

    def time_ns(self, count: float) -> float:
        """Return the bound for a count [ns]."""
        return self.base_ns + self.per_unit_ns * count


@dataclass(frozen=True)
class RuntimeModel:
    """A table of coefficients.

    Parameters
    ----------
    name, title, source : str
        Name, display name, and source of the table.
    assumptions : tuple of str
        Assumptions of the model.
    terms : mapping of str to RuntimeTerm
        Terms by name of the count, as in `COUNTS`.
    """

    name: str
    title: str
    source: str
    assumptions: tuple[str, ...]
    terms: Mapping[str, RuntimeTerm]


def load_runtime_model(path: str | Path) -> RuntimeModel:
    """Read a runtime model from a TOML file.

    Parameters
    ----------
    path : str or path
        File with ``title``, ``source`` and a table ``[terms.<count>]`` for each term.

    Raises
    ------
    RuntimeModelError
        If an entry is missing, unknown or out of range (the error names the first one), or the file
        is invalid.
    """
    file = Path(path)
    if file.suffix != ".toml":
        raise RuntimeModelError(
            "runtime model",
            repr(str(path)),
            "a .toml file with your coefficients",
            "none are built in: see 'How long a step takes' in docs/energy.md",
        )
    table = TomlTable.parse(
        f"runtime model {file.stem!r}",
        read_description(file, RuntimeModelError),
        RuntimeModelError,
    )
    table.check_keys({"title", "source", "assumptions", "terms"}, {"title", "source", "terms"})
    terms = {key: _term(key, term) for key, term in table.tables("terms", "term").items()}
    if not terms:
        raise RuntimeModelError(table.where, "no terms", f"tables [terms.<one of {list(COUNTS)}>]")
    return RuntimeModel(
        name=file.stem,
        title=table.text("title"),
        source=table.text("source"),
        assumptions=table.texts("assumptions"),
        terms=terms,
    )


def _term(name: str, table: TomlTable) -> RuntimeTerm:
    if name not in COUNTS:
        raise RuntimeModelError(table.where, "no count of that name", f"one of {list(COUNTS)}")
    numbers = {"base_ns"} if name == "step" else {"base_ns", "per_unit_ns"}
    table.check_keys({*numbers, "source"}, required={*numbers, "source"})
    base = table.number("base_ns", 0.0, _MAX_NS)
    per_unit = 0.0 if name == "step" else table.number("per_unit_ns", 0.0, _MAX_NS)
    return RuntimeTerm(base, per_unit, table.text("source"))
