"""Network files in HDF5: the layout of lava-dl's netx, and an extension of it."""

from sdt_lava.io.netx.reader import load_network
from sdt_lava.io.netx.writer import save_network
from sdt_lava.support.lazy import lazy

__all__ = ["load_network", "save_network"]

__getattr__ = lazy(__name__)
