"""The Spike-driven Transformer: configuration, presets, torch module and training.

Configurations and presets are plain Python; torch is imported when the module or the training
is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdt_lava.lazy import lazy
from sdt_lava.model.config import SdtConfig
from sdt_lava.model.presets import PRESETS, preset

if TYPE_CHECKING:
    from sdt_lava.model.training import TrainingOptions, TrainingResult, accuracy, train
    from sdt_lava.model.transformer import SpikeDrivenTransformer

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

__getattr__ = lazy(
    __name__,
    {
        "SpikeDrivenTransformer": "transformer",
        "TrainingOptions": "training",
        "TrainingResult": "training",
        "accuracy": "training",
        "train": "training",
    },
)
