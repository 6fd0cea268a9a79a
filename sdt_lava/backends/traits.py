"""What is special about a back end, as far as its results and those who read them care."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Traits:
    """Properties of a back end.

    Parameters
    ----------
    is_pipelined : bool
        Whether it always runs a compiled network, in which a frame takes as many machine steps as
        the network is deep.
    is_plain : bool
        Whether it does without torch, so that counting its events does, too.
    is_engine : bool
        Whether the engine records the spikes, so that it need not compare them when it counts.
    """

    is_pipelined: bool = False
    is_plain: bool = False
    is_engine: bool = False
