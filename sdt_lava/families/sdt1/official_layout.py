"""Names and shapes of the tensors in the authors' state dicts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from sdt_lava.errors import CheckpointError
from sdt_lava.families.sdt1.config import SdtConfig
from sdt_lava.families.sdt1.tensors import Shape, expected_tensors
from sdt_lava.families.tensors import is_counter
from sdt_lava.support.text import listed

# Convolutions that have a bias before their batch normalisation.
BIASED = ("proj_conv.bias", "fc1_conv.bias", "fc2_conv.bias")
# Any convolution may have a bias; it is folded into the normalisation.
BIAS = re.compile(r"(.+_)conv(\d?)\.bias")
# Remnants of an earlier version of the authors' attention.
_UNUSED = re.compile(r"block\.\d+\.attn\.(talking_heads|attn_lif)\.\w+")
# Statistics of parts of a batch, which split_bn uses only in training.
_SPLIT = re.compile(r".*_bn\d?\.aux_bn\.\d+\.\w+")
# Scalars that a profiler (thop and others) or weight averaging (torch) leaves in a module.
_COUNTER = re.compile(
    r"(.*\.)?(total_(ops|params)|__?\w+__|flops|macs|n_averaged|num_updates|\w+_(flops|macs|calls))"
)
# The time constant of a 'plif' neuron.
_LEARNED_DECAY = re.compile(r".*(_lif\d?|\.lif\d|stages\.\d\.\d)\.w")
# Prefixes that training on several GPUs and compilation add to names of the network or its parts.
PREFIX = "module."
_WRAPPERS = ("module", "_orig_mod")
# Names that programs give to the network.
_OWNERS = ("model", "net", "network", "student", "backbone", "encoder")


@dataclass(frozen=True)
class PlainState:
    """Tensors with wrappers removed from their names.

    Parameters
    ----------
    tensors : dict of str to Tensor
        Tensors by plain name.
    prefixes : tuple of str
        The removed prefixes, such as 'module.'.
    prefixed : int
        Number of names that had a prefix.
    """

    tensors: dict[str, torch.Tensor]
    prefixes: tuple[str, ...]
    prefixed: int


def official_tensors(config: SdtConfig) -> dict[str, Shape]:
    """Return the name and shape of every tensor used by the authors' network."""
    expected: dict[str, Shape] = {}
    for name, shape in expected_tensors(config).items():
        expected[name] = shape[:-1] if len(shape) == 5 else shape
        bias = name.removesuffix("weight") + "bias"
        if name.startswith("block.") and bias.endswith(BIASED):
            expected[bias] = shape[:1]
    return expected


def with_other_biases(
    expected: Mapping[str, Shape], state: Mapping[str, torch.Tensor]
) -> dict[str, Shape]:
    """Add the biases before other batch normalisations that a state dict contains."""
    biases = {}
    for name in state:
        match = BIAS.fullmatch(name)
        weight = name.removesuffix("bias") + "weight"
        if match and weight in expected:
            biases[name] = expected[weight][:1]
    return {**expected, **biases}


def plain_state(state: Any, where: str) -> PlainState:
    """Check that a state dict maps names to tensors, and remove wrappers from its names.

    Raises
    ------
    CheckpointError
        If it does not, or two names are equal without wrappers.
    """
    if not isinstance(state, dict):
        raise CheckpointError(where, f"weights that are a {type(state).__name__}", "a dict")
    invalid = [str(name) for name in state if not isinstance(name, str)]
    invalid += [str(name) for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if invalid:
        raise CheckpointError(where, f"entries {listed(invalid)}", "names with a tensor each")
    removed: dict[str, None] = {}
    plain: dict[str, torch.Tensor] = {}
    original: dict[str, str] = {}
    owner = _owner(state)
    prefixed = 0
    for name, value in state.items():
        short = _unwrapped(name, removed)
        if owner and short.startswith(owner):
            short = short.removeprefix(owner)
            removed[owner] = None
        if short in plain:
            raise CheckpointError(
                where,
                f"{listed([original[short], name])}: one name with and without {PREFIX!r}",
                "each once",
            )
        plain[short], original[short] = value, name
        prefixed += short != name
    return PlainState(plain, tuple(removed), prefixed)


def _unwrapped(name: str, removed: dict[str, None]) -> str:
    parts = name.split(".")
    wrappers = [part for part in parts if part in _WRAPPERS]
    if not wrappers:
        return name
    removed.update(dict.fromkeys(f"{part}." for part in wrappers))
    return ".".join(part for part in parts if part not in _WRAPPERS)


def _owner(state: Mapping[str, Any]) -> str:
    """Return the prefix that a program gives to the network, if all names of matrices have it."""
    prefixes = {
        _unwrapped(name, {}).partition(".")[0] for name, value in state.items() if value.ndim > 1
    }
    only = prefixes.pop() if len(prefixes) == 1 else ""
    return f"{only}." if only in _OWNERS else ""


def without_unused(
    state: Mapping[str, torch.Tensor], where: str
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Separate the tensors that the authors' network contains but never uses.

    Returns
    -------
    used, unused : dict of str to Tensor
        The used and the unused tensors.

    Raises
    ------
    CheckpointError
        If the neurons have learned time constants, which would change all spikes.
    """
    unused = {name: value for name, value in state.items() if _is_unused(name, value)}
    network_tensors = {name: value for name, value in state.items() if name not in unused}
    learned = [name for name in network_tensors if _LEARNED_DECAY.fullmatch(name)]
    if learned:
        raise CheckpointError(
            where,
            f"learned time constants {listed(learned)} (spike mode 'plif')",
            "LIF neurons with tau = 2, as in all published configurations",
            "train with spike_mode: lif",
        )
    return network_tensors, unused


def _is_unused(name: str, value: torch.Tensor) -> bool:
    if _UNUSED.fullmatch(name) or _SPLIT.fullmatch(name):
        return True
    return value.numel() <= 1 and not is_counter(name) and bool(_COUNTER.fullmatch(name))
