"""The graph compiler."""

from sdt_lava.compiler.compile import CompiledNetwork, compile_network
from sdt_lava.compiler.lowering import Lowering, lower
from sdt_lava.compiler.schedule import Schedule

__all__ = ["CompiledNetwork", "Lowering", "Schedule", "compile_network", "lower"]
