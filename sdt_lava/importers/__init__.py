"""Float graphs of torch modules and of other frameworks' files."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
