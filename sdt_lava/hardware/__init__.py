"""Hardware: what targets have, what they allow, and the cores that a network takes."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
