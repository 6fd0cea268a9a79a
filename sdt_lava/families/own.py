"""The library's own checkpoint format: a configuration and a state dict in one file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from reprlib import repr as short_repr
from typing import Any

import torch

from sdt_lava.errors import CheckpointError, ConfigError
from sdt_lava.families.configuration import FamilyConfig, to_plain
from sdt_lava.families.model import FamilyModel
from sdt_lava.families.registry import family_of, from_plain
from sdt_lava.families.tensors import check_tensors, with_counters
from sdt_lava.io.checkpoint.archive import is_exactly, read_archive, write_archive
from sdt_lava.io.checkpoint.weights import look_like_weights
from sdt_lava.support.text import listed, printable
from sdt_lava.support.torch_state import random_numbers_apart

FORMAT = "sdt-lava-checkpoint"
VERSION = 1
_ASSUMES_LEVELS = "assumes_levels"
_LEVELS_FROM = "levels_from"
# Longer than any note that is written.
_LONGEST_NOTE = 1000


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint file, not yet checked against a network.

    Parameters
    ----------
    config : mapping or None
        Values of the configuration, if the file contains them.
    state_dict : mapping
        Tensors by name.
    assumes_levels : bool
        Whether the input levels in the configuration are assumed.
    levels_from : str
        Data from which the input levels were chosen; empty if they were not chosen from data.
    """

    config: Mapping[str, Any] | None
    state_dict: Mapping[str, Any]
    assumes_levels: bool = False
    levels_from: str = ""


def save_checkpoint(path: str | os.PathLike[str], model: FamilyModel) -> None:
    """Write a network with its configuration; an existing file is replaced atomically.

    Raises
    ------
    CheckpointError
        If the file cannot be written.
    """
    state = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    content = {
        "format": FORMAT,
        "version": VERSION,
        "config": to_plain(model.config),
        "state_dict": state,
    }
    if model.assumes_levels:
        content[_ASSUMES_LEVELS] = True
    if model.levels_from:
        content[_LEVELS_FROM] = model.levels_from[:_LONGEST_NOTE]
    write_archive(path, content)


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint, or a bare state dict, without running code from the file.

    Raises
    ------
    CheckpointError
        If the file cannot be read safely or is of another format or a newer version.
    """
    return parse_checkpoint(read_archive(path), str(path))


def parse_checkpoint(content: Any, where: str) -> Checkpoint:
    """Parse the content of an archive; arguments and errors as in `load_checkpoint`."""
    allowed = f"a {FORMAT!r} of version {VERSION}, or a state dict of tensors"
    if not isinstance(content, dict) or not content:
        problem = (
            "nothing" if isinstance(content, dict) else f"content of type {type(content).__name__}"
        )
        raise CheckpointError(where, problem, allowed)
    if "format" not in content:
        if all(isinstance(value, torch.Tensor) for value in content.values()):
            return Checkpoint(None, content)
        raise CheckpointError(where, *_described(content, allowed))
    if not is_exactly(content["format"], FORMAT):
        raise CheckpointError(where, f"format {short_repr(content['format'])}", allowed)
    if not is_exactly(content.get("version"), VERSION):
        raise CheckpointError(
            where,
            f"version {short_repr(content.get('version'))}",
            f"version {VERSION}",
            "update sdt-lava",
        )
    config, state = content.get("config"), content.get("state_dict")
    if not isinstance(state, dict):
        raise CheckpointError(where, "no state_dict", "a dict of tensors under 'state_dict'")
    if config is not None and not isinstance(config, dict):
        raise CheckpointError(where, f"a config that is a {type(config).__name__}", "a dict")
    note = content.get(_LEVELS_FROM)
    note = printable(note[:_LONGEST_NOTE]) if isinstance(note, str) else ""
    return Checkpoint(config, state, content.get(_ASSUMES_LEVELS) is True, note)


def _described(content: Mapping[Any, Any], allowed: str) -> tuple[str, str, str]:
    """Return the description, allowed content and remedy for a dict of another program."""
    entries = [str(name) for name in content]
    problem = f"a dict of another program, with {listed(entries)}"
    weights = look_like_weights(content)
    if not weights:
        remedy = "save the state dict of the network: torch.save(model.state_dict(), 'weights.pt')"
        return problem, allowed, remedy
    keys = "".join(f"[{key!r}]" for key in weights[0].split("."))
    return (
        problem,
        allowed,
        f"{listed(weights)} looks like weights: save it alone, "
        f"torch.save(torch.load(FILE){keys}, 'weights.pt')",
    )


def own_config(checkpoint: Checkpoint, where: str) -> FamilyConfig:
    """Return the configuration in a checkpoint.

    Raises
    ------
    CheckpointError
        If the checkpoint has no configuration.
    ConfigError
        If the configuration is wrong.
    """
    if checkpoint.config is None:
        raise CheckpointError(
            where,
            "no configuration in the file (a state dict does not say T, thresholds or pooling)",
            remedy="pass --config with a preset name, a JSON file or an official conf.yml",
        )
    try:
        return from_plain(checkpoint.config, f"{where}: config")
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: config", f"malformed values ({error})") from error


def build_model(config: FamilyConfig, state: Mapping[str, Any], where: str) -> FamilyModel:
    """Return the network of a configuration with the given tensors, in eval mode.

    Raises
    ------
    CheckpointError
        If the tensors do not fit the configuration.
    """
    check_tensors(state, config, where)
    with random_numbers_apart():
        model = family_of(config).build(config)
    model.load_state_dict(with_counters(state, config))
    return model.eval()
