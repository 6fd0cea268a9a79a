"""Checkpoints: written atomically, read without trusting them."""

from typing import TYPE_CHECKING

from sdt_lava.lazy import lazy

if TYPE_CHECKING:
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

# A file that is no checkpoint is refused without torch.
__getattr__ = lazy(
    __name__,
    {
        "Checkpoint": "own",
        "ConfigSource": "config_source",
        "ImportReport": "official",
        "build_model": "own",
        "load_checkpoint": "own",
        "load_model": "load",
        "load_with_report": "load",
        "read_archive": "archive",
        "resolve_config": "config_source",
        "save_checkpoint": "own",
        "write_archive": "archive",
    },
)
