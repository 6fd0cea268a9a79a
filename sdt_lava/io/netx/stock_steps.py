"""How long a sample of a stock file is, which scripts around SLAYER write in several ways."""

from __future__ import annotations

import numpy as np

from sdt_lava.errors import NetworkFileError
from sdt_lava.io.netx.guard import SafeGroup
from sdt_lava.io.netx.stock_fields import read_number

# Length of a sample in units of time, and the length of a step in the same units.
_LENGTH, _STEP = "tSample", "Ts"
# Names under which the number of steps stands.
_STEPS = ("timesteps", "time_steps", "num_steps", "steps_per_sample", "T")


def sample_length(root: SafeGroup) -> int:
    """Return the time steps of a sample in a file that is not ours, 1 if it does not say.

    Parameters
    ----------
    root : SafeGroup
        The file, with or without a group ``simulation`` or attributes.

    Raises
    ------
    NetworkFileError
        If the length is no whole number of steps.
    """
    groups = [root]
    if "simulation" in root.names() and root.is_group("simulation"):
        groups.insert(0, root.subgroup("simulation"))
    for group in groups:
        length = _number(group, _LENGTH)
        if length is not None:
            step = _number(group, _STEP) or 1
            if step < 1 or length % step:
                found = f"{length} units of time in steps of {step}"
                raise NetworkFileError(
                    group.where, found, "a whole number of steps",
                    "give load_network the argument timesteps=T (commands: --timesteps T)",
                )  # fmt: skip
            return length // step
        for name in _STEPS:
            steps = _number(group, name)
            if steps is not None:
                return steps
    return 1


def _number(group: SafeGroup, name: str) -> int | None:
    """Return a whole number that is a member or an attribute."""
    if name in group.names() and not group.is_group(name):
        return read_number(group, name, own=False)
    if name not in group.attributes():
        return None
    value = group.attribute(name, "iuf")
    if value.size != 1 or not np.isfinite(value).all() or float(value.flat[0]) % 1:
        where, found = f"{group.where}: attribute {name!r}", f"{value}"
        raise NetworkFileError(where, found, "one whole number")
    return int(value.flat[0])
