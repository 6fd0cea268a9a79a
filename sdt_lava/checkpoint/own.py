"""The library's own checkpoint: a configuration and a state dict in one file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from reprlib import repr as short_repr
from typing import Any

import torch

from sdt_lava.checkpoint.archive import is_exactly, read_archive, write_archive
from sdt_lava.checkpoint.tensors import check_tensors
from sdt_lava.errors import CheckpointError, ConfigError
from sdt_lava.model.config import SdtConfig
from sdt_lava.model.transformer import SpikeDrivenTransformer
from sdt_lava.torch_state import random_numbers_apart

FORMAT = "sdt-lava-checkpoint"
VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file says, before anything is checked against a network.

    Parameters
    ----------
    config : mapping or None
        Values of the configuration, if the file has them.
    state_dict : mapping
        Names to tensors.
    """

    config: Mapping[str, Any] | None
    state_dict: Mapping[str, Any]


def save_checkpoint(path: str | os.PathLike[str], model: SpikeDrivenTransformer) -> None:
    """Write a network with its configuration; an existing file is replaced all or nothing.

    Raises
    ------
    CheckpointError
        If the file cannot be written.
    """
    state = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    content = {
        "format": FORMAT,
        "version": VERSION,
        "config": model.config.to_dict(),
        "state_dict": state,
    }
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
    """Interpret the content of an archive; arguments and errors as in `load_checkpoint`."""
    allowed = f"a {FORMAT!r} of version {VERSION}, or a state dict of tensors"
    if not isinstance(content, dict) or not content:
        raise CheckpointError(where, f"a {type(content).__name__} without entries", allowed)
    if "format" not in content:
        if all(isinstance(value, torch.Tensor) for value in content.values()):
            return Checkpoint(None, content)
        raise CheckpointError(where, "a dict of another program", allowed)
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
    return Checkpoint(config, state)


def own_config(checkpoint: Checkpoint, where: str) -> SdtConfig:
    """Return the configuration that a checkpoint holds.

    Raises
    ------
    CheckpointError
        If it holds none.
    ConfigError
        If it is wrong.
    """
    if checkpoint.config is None:
        raise CheckpointError(
            where,
            "no configuration in the file (a state dict does not say T, thresholds or pooling)",
            remedy="pass --config with a preset name, a JSON file or an official conf.yml",
        )
    try:
        return SdtConfig.from_dict(checkpoint.config, f"{where}: config")
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: config", f"malformed values ({error})") from error


def build_model(config: SdtConfig, state: Mapping[str, Any], where: str) -> SpikeDrivenTransformer:
    """Return the network of a configuration with the given tensors, in eval mode.

    Raises
    ------
    CheckpointError
        If the tensors do not fit the configuration.
    """
    check_tensors(state, config, where)
    with random_numbers_apart():
        model = SpikeDrivenTransformer(config)
    model.load_state_dict(dict(state))
    return model.eval()
