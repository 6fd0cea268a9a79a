"""Recognise the network of a state dict by the names of its tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch

from sdt_lava.errors import CheckpointError

# SpikingJelly 2's own Spike-driven Transformer (activation_based.model.spike_driven_transformer).
SPIKINGJELLY = "SpikingJelly 2"
_SPIKINGJELLY_MARK = re.compile(r"patch_embed\.(stages\.\d\.0|final_stage\.0)\.weight")
_SPIKINGJELLY_NAMES = (
    (re.compile(r"patch_embed\.stages\.0\.0\."), "patch_embed.proj_conv."),
    (re.compile(r"patch_embed\.stages\.0\.1\."), "patch_embed.proj_bn."),
    (re.compile(r"patch_embed\.stages\.([12])\.0\."), r"patch_embed.proj_conv\1."),
    (re.compile(r"patch_embed\.stages\.([12])\.1\."), r"patch_embed.proj_bn\1."),
    (re.compile(r"patch_embed\.final_stage\.0\."), "patch_embed.proj_conv3."),
    (re.compile(r"patch_embed\.final_stage\.1\."), "patch_embed.proj_bn3."),
    (re.compile(r"blocks\.(\d+)\.mlp\.fc([12])\."), r"block.\1.mlp.fc\2_conv."),
    (re.compile(r"blocks\.(\d+)\.mlp\.bn([12])\."), r"block.\1.mlp.fc\2_bn."),
    (re.compile(r"blocks\.(\d+)\."), r"block.\1."),
)

# Names that occur only in other networks, with the network. The first match counts.
_OTHERS = (
    (r".*\.mlp\.(experts|router)\..*", "a network with a mixture of experts"),
    (r"stage\d\.\d+\.mixer\..*", "MaxFormer"),
    (r"(patch_embed[123]|stage[123])\..*", "QKFormer (Zhou et al., NeurIPS 2024), or one like it"),
    (r"block[34]\.\d+\.layer_scale\d|.*\.act\.alpha", "QSD-Transformer (Qiu et al., ICLR 2025)"),
    (
        r"block[34]\.\d+\.attn\.\w+_conv\.0\.weight|block[34]\.\d+\.conv\.pwconv1\..*",
        "Spike-driven Transformer V3 (Yao et al., 2025)",
    ),
    (
        r"(ConvBlock\d_\d|downsample\d(_\d)?)\..*",
        "Spike-driven Transformer V2 (Meta-SpikeFormer, Yao et al., ICLR 2024)",
    ),
    (r".*\.([qkv]|proj|fc[12])_linear\..*", "Spikformer (Zhou et al., ICLR 2023)"),
    (
        r"patch_embed\.(stages\.\d+\.block|positional_encoding)\..*",
        "SpikingJelly 2's Spikformer",
    ),
    (r".*\.(bias_)?[qkv]kv\..*|pos_embed|cls_token|.*\.norm[12]\..*", "a vision transformer"),
    (r"layer\d\.\d+\.conv\d\..*", "a ResNet"),
)
_OTHER_NAMES = tuple((re.compile(pattern), name) for pattern, name in _OTHERS)
_CONVOLUTION_1D = re.compile(r"block\.\d+\.attn\.[qkv]_conv\.weight")
_SECOND_HEAD = re.compile(r"head_(kd|dist)\..*")


def in_official_names(
    state: Mapping[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], str | None]:
    """Return a state dict with the authors' names, and the origin of its names if they differed."""
    if not any(map(_SPIKINGJELLY_MARK.fullmatch, state)):
        return dict(state), None
    return {_renamed(name): value for name, value in state.items()}, SPIKINGJELLY


def refuse_other_networks(state: Mapping[str, torch.Tensor], where: str) -> None:
    """Raise an error if the names belong to a known network of another kind.

    Raises
    ------
    CheckpointError
        The error names the network, or the part that the Spike-driven Transformer does not have.
    """
    for pattern, network in _OTHER_NAMES:
        mark = _first(pattern.fullmatch(name) and name for name in state)
        if mark is not None:
            _refuse(where, network, mark)
    for name, value in state.items():
        if _CONVOLUTION_1D.fullmatch(name) and value.ndim == 3:
            _refuse(where, "Spikformer (Zhou et al., ICLR 2023)", f"{name} {tuple(value.shape)}")
    second_head = _first(_SECOND_HEAD.fullmatch(name) and name for name in state)
    if second_head is not None:
        raise CheckpointError(
            where,
            f"a second head ({second_head}), as distillation trains one",
            "one head: head.weight and head.bias",
            "if inference averages both, average their weights and biases into those of head, and "
            "save the state dict without the second",
        )


def _refuse(where: str, network: str, mark: str) -> None:
    raise CheckpointError(
        where,
        f"the weights of {network}, by the tensor {mark[:80]!r}",
        "the Spike-driven Transformer of Yao et al. (NeurIPS 2023), in the authors' names or "
        f"those of {SPIKINGJELLY}; other networks are not supported",
    )


def _renamed(name: str) -> str:
    for pattern, new in _SPIKINGJELLY_NAMES:
        if pattern.match(name):
            return pattern.sub(new, name, count=1)
    return name


def _first(names: Iterable[str | None]) -> str | None:
    return next((name for name in names if name), None)
