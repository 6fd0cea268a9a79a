"""Deduce the configuration of a network from the shapes of the authors' weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import inf, nextafter
from typing import Any

import torch

from sdt_lava.families.sdt1.official_config import Settings

_BLOCK = re.compile(r"block\.(\d{1,9})\.")
# Field of the configuration, and the tensor and axis that determine it.
_SIDES = (
    ("dim", "patch_embed.proj_conv3.weight", 0),
    ("in_channels", "patch_embed.proj_conv.weight", 1),
    ("num_classes", "head.weight", 0),
)
_HIDDEN = "block.0.mlp.fc1_conv.weight"
_HEADS = "block.0.attn.talking_heads.weight"

# Value of a field, and the tensor from which it is deduced.
Deduced = dict[str, tuple[Any, str]]


def deduce(state: Mapping[str, torch.Tensor], unused: Mapping[str, torch.Tensor]) -> Deduced:
    """Return the fields that names and shapes determine, none for missing tensors.

    Parameters
    ----------
    state : mapping of str to Tensor
        The tensors that the network uses.
    unused : mapping of str to Tensor
        The other tensors; ``talking_heads`` among them shows the number of heads.
    """
    deduced: Deduced = {}
    for field, name, axis in _SIDES:
        size = _side(state, name, axis)
        if size:
            deduced[field] = (size, name)
    blocks = {int(match[1]): match[0] for match in map(_BLOCK.match, state) if match}
    if blocks:
        last = max(blocks)
        deduced["depth"] = (last + 1, f"{blocks[last]}*")
    heads = _side(unused, _HEADS, 0)
    if heads:
        deduced["num_heads"] = (heads, _HEADS)
    hidden = _side(state, _HIDDEN, 0)
    if hidden and "dim" in deduced:
        deduced["mlp_ratio"] = (_ratio(hidden, deduced["dim"][0]), _HIDDEN)
    return deduced


def contradictions(given: Settings, source: str, deduced: Deduced) -> list[str]:
    """Return the contradictions of settings and weights: both values, and the deciding tensor."""
    return [
        f"{field} is {given[field]} in {source} and {value} in the weights ({name})"
        for field, (value, name) in deduced.items()
        if field in given and not _agree(field, given, value, deduced)
    ]


def _agree(field: str, given: Settings, value: Any, deduced: Deduced) -> bool:
    if field == "mlp_ratio":
        dim = deduced["dim"][0]
        return int(dim * given[field]) == int(dim * value)
    return bool(given[field] == value)


def _side(state: Mapping[str, torch.Tensor], name: str, axis: int) -> int:
    tensor = state.get(name)
    return tensor.shape[axis] if tensor is not None and tensor.ndim > axis else 0


def _ratio(hidden: int, dim: int) -> float:
    ratio = hidden / dim
    # int(dim * ratio) must equal the hidden channels.
    return ratio if int(dim * ratio) == hidden else nextafter(ratio, inf)
