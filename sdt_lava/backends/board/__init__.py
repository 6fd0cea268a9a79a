"""Runs on Loihi 2, through Lava and Intel's extension for members of INRC."""

from sdt_lava.backends.board.options import HardwareOptions

__all__ = ["HardwareOptions"]
