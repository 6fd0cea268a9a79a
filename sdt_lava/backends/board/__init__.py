"""Run networks on Loihi 2 through Lava and Intel's extension for INRC members."""

from typing import TYPE_CHECKING

from sdt_lava.support.lazy import lazy

if TYPE_CHECKING:
    from sdt_lava.backends.board.options import HardwareOptions

__all__ = ["HardwareOptions"]

__getattr__ = lazy(__name__, {"HardwareOptions": "options"})
