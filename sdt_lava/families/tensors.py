"""Check that a state dict has the tensors that a configuration requires."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from sdt_lava._moved import old_names
from sdt_lava.errors import CheckpointError
from sdt_lava.families.configuration import FamilyConfig
from sdt_lava.families.family import Family, Shape
from sdt_lava.families.registry import family_of
from sdt_lava.support.text import listed

# A block has 40 tensors; if a whole block is missing, all of them are listed.
_NAMES_OF_A_BLOCK = 40

__getattr__ = old_names(__name__)


def check_tensors(state: Mapping[Any, Any], config: FamilyConfig, where: str) -> None:
    """Raise an error if a state dict does not fit a configuration or holds impossible values.

    Raises
    ------
    CheckpointError
        The error names all missing, unexpected or misshapen tensors, or else the first one of a
        wrong type or with NaN, infinite or (variances) negative values.
    """
    family = family_of(config)
    expected = family.tensors(config)
    check_layout(state, expected, family, where)
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


def with_counters(state: Mapping[str, Any], config: FamilyConfig) -> dict[str, Any]:
    """Return a state dict with all batch counters that torch requires, missing ones set to 0."""
    names = family_of(config).tensors(config)
    counters = {name: torch.tensor(0) for name in names if is_counter(name)}
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


def check_layout(
    state: Mapping[Any, Any], expected: Mapping[str, Shape], family: Family, where: str
) -> None:
    """Raise `CheckpointError` with the names of all tensors that do not fit."""
    problems = differences(state, expected, _NAMES_OF_A_BLOCK)
    if problems:
        raise CheckpointError(
            where,
            "; ".join(problems),
            f"the tensors of the {family.title} with this configuration",
            _remedy(state, expected, family),
        )


def _remedy(state: Mapping[Any, Any], expected: Mapping[str, Shape], family: Family) -> str:
    """Return a remedy for tensors that do not fit, which depends on the number of matches."""
    shared = sum(name in state for name in expected)
    if not shared:
        return (
            "this is another network, or its names have a prefix: print the names with "
            "torch.load(...).keys()"
        )
    if all(name in expected for name in state) or shared < len(expected) / 2:
        return (
            f"check that the configuration ({', '.join(family.size_fields)}) is the one the "
            "network was trained with"
        )
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
