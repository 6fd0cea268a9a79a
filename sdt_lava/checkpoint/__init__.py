"""Checkpoints: written atomically, read without trusting them."""

from sdt_lava.checkpoint.archive import read_archive, write_archive
from sdt_lava.checkpoint.config_source import ConfigSource, resolve_config
from sdt_lava.checkpoint.load import load_model, load_with_report
from sdt_lava.checkpoint.official import ImportReport
from sdt_lava.checkpoint.own import (
    Checkpoint,
    build_model,
    load_checkpoint,
    save_checkpoint,
)
from sdt_lava.lazy import lazy

__all__ = [
    "Checkpoint",
    "ConfigSource",
    "ImportReport",
    "build_model",
    "load_checkpoint",
    "load_model",
    "load_with_report",
    "read_archive",
    "resolve_config",
    "save_checkpoint",
    "write_archive",
]

__getattr__ = lazy(__name__)
