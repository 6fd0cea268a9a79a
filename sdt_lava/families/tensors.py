"""Check that a state dict has the tensors that a configuration requires."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from sdt_lava.errors import CheckpointError
from sdt_lava.families.sdt1.config import SdtConfig
from sdt_lava.support.text import listed

Shape = tuple[int, ...]
# A block has 40 tensors; if a whole block is missing, all of them are listed.
_NAMES_OF_A_BLOCK = 40


def expected_tensors(config: SdtConfig) -> dict[str, Shape]:
    """Return the name and shape of every entry of the state dict of a network.

    They are computed from the configuration alone, so that a file can be rejected before a network
    of the claimed size is built.
    """
    templates: dict[str, Shape] = {}
    for prefix, out_channels, in_channels, kernel in _convolutions(config):
        templates[f"{prefix}_conv{{}}.weight"] = (out_channels, in_channels, kernel, kernel, 1)
        for vector in ("weight", "bias", "running_mean", "running_var"):
            templates[f"{prefix}_bn{{}}.{vector}"] = (out_channels,)
        templates[f"{prefix}_bn{{}}.num_batches_tracked"] = ()
    expected = dict(_with_stage_numbers(templates))
    expected["head.weight"] = (config.num_classes, config.dim)
    expected["head.bias"] = (config.num_classes,)
    return expected


def _convolutions(config: SdtConfig) -> Iterator[tuple[str, int, int, int]]:
    """Yield name prefix, output channels, input channels and kernel size of each convolution."""
    dim, hidden = config.dim, config.hidden_dim
    in_channels = config.in_channels
    for stage, out_channels in enumerate(config.stage_channels):
        yield f"{stage}|patch_embed.proj", out_channels, in_channels, 3
        in_channels = out_channels
    yield "patch_embed.rpe", dim, dim, 3
    for block in range(config.depth):
        for branch in ("q", "k", "v", "proj"):
            yield f"block.{block}.attn.{branch}", dim, dim, 1
        yield f"block.{block}.mlp.fc1", hidden, dim, 1
        yield f"block.{block}.mlp.fc2", dim, hidden, 1


def _with_stage_numbers(expected: Mapping[str, Shape]) -> Iterator[tuple[str, Shape]]:
    for template, shape in expected.items():
        stage, _, pattern = template.rpartition("|")
        # The first stage of the patch splitting has no number in its names.
        yield pattern.format("" if stage in ("", "0") else stage), shape


def check_tensors(state: Mapping[Any, Any], config: SdtConfig, where: str) -> None:
    """Raise an error if a state dict does not fit a configuration or holds impossible values.

    Raises
    ------
    CheckpointError
        The error names all missing, unexpected or misshapen tensors, or else the first one of a
        wrong type or with NaN, infinite or (variances) negative values.
    """
    expected = expected_tensors(config)
    check_layout(state, expected, where)
    shapes = {name: shape for name, shape in expected.items() if not is_counter(name)}
    for name, shape in shapes.items():
        check_kind(state[name], shape, name, where)
    for name in shapes:
        check_values(state[name], name, where)


def is_counter(name: str) -> bool:
    """Return whether an entry counts batches of a training; trained networks ignore counters."""
    return name.endswith(".num_batches_tracked")


def _is_spare(name: str, state: Mapping[Any, Any]) -> bool:
    """Return whether only a counter is missing rather than a whole normalisation."""
    normalisation = name.removesuffix("num_batches_tracked")
    return is_counter(name) and f"{normalisation}running_mean" in state


def with_counters(state: Mapping[str, Any], config: SdtConfig) -> dict[str, Any]:
    """Return a state dict with all batch counters that torch requires, missing ones set to 0."""
    counters = {name: torch.tensor(0) for name in expected_tensors(config) if is_counter(name)}
    for name in counters:
        value = state.get(name)
        if isinstance(value, torch.Tensor) and value.dtype == torch.int64 and value.ndim == 0:
            counters[name] = value
    return {**state, **counters}


def differences(state: Mapping[Any, Any], expected: Mapping[str, Shape], most: int) -> list[str]:
    """Return descriptions of missing, unexpected and misshapen tensors in a state dict.

    Parameters
    ----------
    state : mapping
        Tensors by name.
    expected : mapping of str to tuple of int
        Shapes by name.
    most : int
        Maximum number of names of each kind to list.
    """
    missing = [name for name in expected if name not in state and not _is_spare(name, state)]
    unexpected = [str(name) for name in state if name not in expected]
    misshapen = [
        f"{name} {tuple(state[name].shape)} instead of {shape}"
        for name, shape in expected.items()
        if isinstance(state.get(name), torch.Tensor)
        and not is_counter(name)
        and tuple(state[name].shape) != shape
    ]
    return [
        f"{problem} {listed(names, most)}"
        for problem, names in (
            ("missing tensors", missing),
            ("unexpected tensors", unexpected),
            ("tensors of the wrong shape", misshapen),
        )
        if names
    ]


def check_layout(state: Mapping[Any, Any], expected: Mapping[str, Shape], where: str) -> None:
    """Raise `CheckpointError` with the names of all tensors that do not fit."""
    problems = differences(state, expected, _NAMES_OF_A_BLOCK)
    if problems:
        raise CheckpointError(
            where,
            "; ".join(problems),
            "the tensors of the Spike-driven Transformer with this configuration",
            _remedy(state, expected),
        )


def _remedy(state: Mapping[Any, Any], expected: Mapping[str, Shape]) -> str:
    """Return a remedy for tensors that do not fit, which depends on the number of matches."""
    shared = sum(name in state for name in expected)
    if not shared:
        return (
            "this is another network, or its names have a prefix: print the names with "
            "torch.load(...).keys()"
        )
    if all(name in expected for name in state) or shared < len(expected) / 2:
        return "check that the configuration (dim, depth) is the one the network was trained with"
    return (
        "if the network does not use the unexpected ones, save the state dict without them; "
        "otherwise it is another network"
    )


def check_kind(value: Any, shape: Shape, name: str, where: str) -> None:
    """Raise an error if an entry is not a tensor of the right type and shape."""
    place = f"{where}: {name}"
    if not isinstance(value, torch.Tensor):
        raise CheckpointError(place, f"a {type(value).__name__}", "a tensor")
    if not value.is_floating_point():
        raise CheckpointError(place, f"dtype {value.dtype}", "a floating-point dtype")
    if tuple(value.shape) != shape:
        raise CheckpointError(
            place,
            f"shape {tuple(value.shape)}",
            f"{shape}",
            "use the configuration the network was trained with",
        )


def check_values(value: torch.Tensor, name: str, where: str) -> None:
    """Raise an error if a tensor has values that a trained network cannot have."""
    # In the precision of the network: a large double may become infinite.
    if not bool(torch.isfinite(value.float()).all()):
        raise CheckpointError(
            f"{where}: {name}",
            "NaN or infinite values",
            "finite float32",
            "train the network again",
        )
    if name.endswith("running_var") and bool((value < 0).any()):
        raise CheckpointError(f"{where}: {name}", "negative variances", "0 or more")
