"""File input and output: untrusted files are checked on reading, and writing is atomic."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
