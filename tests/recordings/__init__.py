"""What Lava 0.10.0 and lava-dl 0.6.0 compute, recorded: inputs, parameters and outputs.

Lava is archived, and what it computes does not change any more; these recordings keep its meaning
where it cannot be installed. ``python -m tests.record_lava`` makes them again; the modules here say
what is recorded.
"""

from __future__ import annotations

from tests.recordings import graphs, netx, processes, weights
from tests.recordings.store import Cases

# The module that records a subject.
SUBJECTS = {
    **dict.fromkeys(processes.SUBJECTS, processes),
    "graphs": graphs,
    **dict.fromkeys(netx.SUBJECTS, netx),
    "weights": weights,
}


def record(subject: str, executor: str = "processes") -> Cases:
    """Record the cases of a subject with Lava, in its own runtime or, faster, in ours."""
    return SUBJECTS[subject].record(subject, executor)


def seeds() -> dict[str, int]:
    """Return the seed of each module that draws."""
    return {module.__name__.rpartition(".")[2]: module.SEED for module in SUBJECTS.values()}
