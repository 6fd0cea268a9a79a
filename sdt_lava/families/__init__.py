"""Families of networks: their configurations, modules and checkpoints, which are read safely."""

from typing import TYPE_CHECKING

from sdt_lava.families.registry import register
from sdt_lava.families.sdt1.family import SDT1
from sdt_lava.support.lazy import lazy

if TYPE_CHECKING:
    from sdt_lava.families.config_source import ConfigSource, resolve_config
    from sdt_lava.families.import_report import ImportReport
    from sdt_lava.families.load import load_model, load_with_report
    from sdt_lava.families.own import Checkpoint, build_model, load_checkpoint, save_checkpoint
    from sdt_lava.io.checkpoint.archive import read_archive, write_archive

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

# The families of the library. SDT-V1 is the first one: its import explains what nobody can read.
register(SDT1)

# Imported on demand, so that a file that is not a checkpoint is rejected without loading torch.
__getattr__ = lazy(
    __name__,
    {
        "Checkpoint": "own",
        "ConfigSource": "config_source",
        "ImportReport": "import_report",
        "build_model": "own",
        "load_checkpoint": "own",
        "load_model": "load",
        "load_with_report": "load",
        "read_archive": "sdt_lava.io.checkpoint.archive",
        "resolve_config": "config_source",
        "save_checkpoint": "own",
        "write_archive": "sdt_lava.io.checkpoint.archive",
    },
)
