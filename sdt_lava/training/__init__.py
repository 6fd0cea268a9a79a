"""Training with surrogate gradients, and fine-tuning of rounded weights."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
