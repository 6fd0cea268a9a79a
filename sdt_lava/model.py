"""The Spike-driven Transformer: configuration, presets, torch module and training.

Configurations and presets are plain Python; torch is imported when the module or the training
is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdt_lava.families.sdt1.config import SdtConfig
from sdt_lava.families.sdt1.presets import PRESETS, preset
from sdt_lava.support.lazy import lazy

if TYPE_CHECKING:
    from sdt_lava.families.sdt1.transformer import SpikeDrivenTransformer
    from sdt_lava.training.training import TrainingOptions, TrainingResult, accuracy, train

__all__ = [
    "PRESETS",
    "SdtConfig",
    "SpikeDrivenTransformer",
    "TrainingOptions",
    "TrainingResult",
    "accuracy",
    "preset",
    "train",
]

# Old names of submodules are found below it: see `sdt_lava._moved`.
__path__: list[str] = []

__getattr__ = lazy(
    __name__,
    {
        "SpikeDrivenTransformer": "sdt_lava.families.sdt1.transformer",
        "TrainingOptions": "sdt_lava.training.training",
        "TrainingResult": "sdt_lava.training.training",
        "accuracy": "sdt_lava.training.training",
        "train": "sdt_lava.training.training",
    },
)
