"""The Spike-driven Transformer: configuration, presets, torch module and training.

Configurations and presets are plain Python; torch is imported when the module or the training
is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

_LAZY = {
    "SpikeDrivenTransformer": "sdt_lava.model.transformer",
    "TrainingOptions": "sdt_lava.model.training",
    "TrainingResult": "sdt_lava.model.training",
    "accuracy": "sdt_lava.model.training",
    "train": "sdt_lava.model.training",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
