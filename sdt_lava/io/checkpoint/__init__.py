"""Read untrusted checkpoints: archives, pickles and tensors."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
