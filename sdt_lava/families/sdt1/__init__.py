"""The Spike-driven Transformer of 2023: configuration, torch module, checkpoints and formulas."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
