"""Read the sample length of a stock file, which SLAYER scripts store in several ways."""

from __future__ import annotations

import numpy as np

from sdt_lava.errors import NetworkFileError
from sdt_lava.io.netx.guard import SafeGroup
from sdt_lava.io.netx.stock_fields import read_number

# Names of the length of a sample, and of a step, in the same unit of time.
_LENGTH, _STEP = "tSample", "Ts"
# Names of the number of steps.
_STEPS = ("timesteps", "time_steps", "num_steps", "steps_per_sample", "T")


def sample_length(root: SafeGroup) -> int:
    """Return the number of time steps of a sample in a SLAYER export; 1 if it is not defined.

    Parameters
    ----------
    root : SafeGroup
        The file, with or without a group ``simulation`` or attributes.

    Raises
    ------
    NetworkFileError
        If the length is not an integer number of steps.
    """
    groups = [root]
    if "simulation" in root.names() and root.is_group("simulation"):
        groups.insert(0, root.subgroup("simulation"))
    for group in groups:
        length = _number(group, _LENGTH)
        if length is not None:
            step = _number(group, _STEP) or 1
            if step < 1 or length % step:
                problem = f"{length} units of time in steps of {step}"
                raise NetworkFileError(
                    group.where, problem, "a whole number of steps",
                    "give load_network the argument timesteps=T (commands: --timesteps T)",
                )  # fmt: skip
            return length // step
        for name in _STEPS:
            steps = _number(group, name)
            if steps is not None:
                return steps
    return 1


def _number(group: SafeGroup, name: str) -> int | None:
    """Return an integer stored as a member or an attribute, or None if it is missing."""
    if name in group.names() and not group.is_group(name):
        return read_number(group, name, own=False)
    if name not in group.attributes():
        return None
    value = group.attribute(name, "iuf")
    if value.size != 1 or not np.isfinite(value).all() or float(value.flat[0]) % 1:
        where, problem = f"{group.where}: attribute {name!r}", f"{value}"
        raise NetworkFileError(where, problem, "one whole number")
    return int(value.flat[0])
