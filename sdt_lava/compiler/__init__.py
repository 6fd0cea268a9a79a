"""The graph compiler."""

from sdt_lava.compiler.compile import CompiledNetwork, compile_network, lower
from sdt_lava.compiler.schedule import Schedule

__all__ = ["CompiledNetwork", "Schedule", "compile_network", "lower"]
