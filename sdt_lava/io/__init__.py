"""Files from outside: checked where they are read, written whole or not at all."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
