"""Small targets with any limits."""

from __future__ import annotations

from sdt_lava.hardware.targets import Target, read_target

KINDS = ("input", "conv", "dense", "sparse", "lif", "gate", "relay")
BOARDS = {"one": 1, "four": 4, "many": 1000}


def small_target(
    boards: dict[str, int] | None = None, kinds: tuple[str, ...] = KINDS, **limits: int | None
) -> Target:
    """Return a target with some limits of a core; None leaves one out."""
    sizes = boards or BOARDS
    stated = {"synapse_bits": 8, "shared_synapse_bits": 4, **limits}
    lines = ['title = "Small"', f"kinds = {list(kinds)}", f'default_board = "{next(iter(sizes))}"']
    for name, chips in sizes.items():
        lines += [f"[boards.{name}]", f"chips = {chips}", 'source = "test"']
    for name, value in stated.items():
        if value is not None:
            lines += [f"[limits.{name}]", f"value = {value}", 'source = "test"']
    return read_target("small", "\n".join(lines))
