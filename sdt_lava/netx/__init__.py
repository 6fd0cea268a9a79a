"""Network files: HDF5 in the manner of lava-dl's netx, and a superset of it."""

from sdt_lava.lazy import lazy
from sdt_lava.netx.reader import load_network
from sdt_lava.netx.writer import save_network

__all__ = ["load_network", "save_network"]

__getattr__ = lazy(__name__)
