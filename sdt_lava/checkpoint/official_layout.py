"""Names and shapes of the tensors in the authors' state dicts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

from sdt_lava.checkpoint.tensors import Shape, expected_tensors, listed
from sdt_lava.errors import CheckpointError
from sdt_lava.model.config import SdtConfig

# Convolutions that have a bias before their batch normalisation.
BIASED = ("proj_conv.bias", "fc1_conv.bias", "fc2_conv.bias")
# Left over from an earlier version of the authors' attention.
_UNUSED = re.compile(r"block\.\d+\.attn\.(talking_heads|attn_lif)\.\w+")
# The time constant of a 'plif' neuron.
_LEARNED_DECAY = re.compile(r".*_lif\d?\.w")
# Prefix that training on several GPUs leaves in front of every name.
PREFIX = "module."


def official_tensors(config: SdtConfig) -> dict[str, Shape]:
    """Return the name and shape of every tensor that the authors' network uses."""
    expected: dict[str, Shape] = {}
    for name, shape in expected_tensors(config).items():
        expected[name] = shape[:-1] if len(shape) == 5 else shape
        bias = name.removesuffix("weight") + "bias"
        if name.startswith("block.") and bias.endswith(BIASED):
            expected[bias] = shape[:1]
    return expected


def plain_state(state: Any, where: str) -> dict[str, torch.Tensor]:
    """Check that a state dict maps names to tensors, and return it without prefixes.

    Raises
    ------
    CheckpointError
        If it is something else.
    """
    if not isinstance(state, dict):
        raise CheckpointError(where, f"weights that are a {type(state).__name__}", "a dict")
    wrong = [str(name) for name in state if not isinstance(name, str)]
    wrong += [str(name) for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if wrong:
        raise CheckpointError(where, f"entries {listed(wrong)}", "names with a tensor each")
    plain = {name.removeprefix(PREFIX): value for name, value in state.items()}
    if len(plain) != len(state):
        twice = [name for name in state if PREFIX + name in state]
        raise CheckpointError(where, f"{listed(twice)} with and without {PREFIX!r}", "each once")
    return plain


def without_unused(
    state: Mapping[str, torch.Tensor], where: str
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Separate the tensors that the authors' network holds but never uses.

    Returns
    -------
    used, unused : dict of str to Tensor
        Both parts.

    Raises
    ------
    CheckpointError
        If the neurons have learned time constants, which would change every spike.
    """
    unused = {name: value for name, value in state.items() if _UNUSED.fullmatch(name)}
    used = {name: value for name, value in state.items() if name not in unused}
    learned = [name for name in used if _LEARNED_DECAY.fullmatch(name)]
    if learned:
        raise CheckpointError(
            where,
            f"learned time constants {listed(learned)} (spike mode 'plif')",
            "LIF neurons with tau = 2, as in all published configurations",
            "train with spike_mode: lif",
        )
    return used, unused
