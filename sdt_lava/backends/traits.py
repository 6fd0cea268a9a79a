"""Describe the properties of back ends on which results depend."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Traits:
    """Properties of a back end.

    Parameters
    ----------
    is_pipelined : bool
        Whether the back end always runs a compiled network, in which a frame takes as many machine
        steps as the network is deep.
    is_plain : bool
        Whether the back end works without torch, in which case counting its events also does.
    is_engine : bool
        Whether the engine recorded the spikes, so that they need no comparison when it counts.
    """

    is_pipelined: bool = False
    is_plain: bool = False
    is_engine: bool = False
