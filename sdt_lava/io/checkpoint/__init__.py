"""The bytes of checkpoints: archives, pickles and tensors, read without trusting them."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
