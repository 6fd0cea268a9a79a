"""Checkpoints: written atomically, read without trusting them."""

from sdt_lava.checkpoint.archive import read_archive, write_archive
from sdt_lava.checkpoint.config_source import ConfigSource, resolve_config
from sdt_lava.checkpoint.own import (
    Checkpoint,
    build_model,
    load_checkpoint,
    load_model,
    save_checkpoint,
)

__all__ = [
    "Checkpoint",
    "ConfigSource",
    "build_model",
    "load_checkpoint",
    "load_model",
    "read_archive",
    "resolve_config",
    "save_checkpoint",
    "write_archive",
]
