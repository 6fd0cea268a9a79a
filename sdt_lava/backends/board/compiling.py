"""Compile networks as requested by the options of a hardware run."""

from __future__ import annotations

from sdt_lava.backends.board.options import HardwareOptions
from sdt_lava.backends.deployment import Deployment, compile_network
from sdt_lava.compiler.choose import Choice
from sdt_lava.compiler.columns import AND
from sdt_lava.ir import Graph


def compile_for(
    net: Graph,
    options: HardwareOptions,
    timesteps: int,
    reset: bool,
    shortcut: Choice | None = None,
    sdsa: Choice | None = None,
) -> Deployment:
    """Compile a network for the target, board and convolutions of the options.

    The arguments and errors are those of :func:`sdt_lava.compile`.
    """
    return compile_network(
        net,
        options.target,
        board=options.board,
        convolutions=options.convolutions,
        timesteps=timesteps,
        reset=reset,
        shortcut=shortcut,
        sdsa=AND if sdsa is None else sdsa,
    )
