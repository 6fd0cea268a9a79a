"""NIR files: read with limits, written exactly."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
