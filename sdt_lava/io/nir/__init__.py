"""Read untrusted NIR files, and write NIR files exactly."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
