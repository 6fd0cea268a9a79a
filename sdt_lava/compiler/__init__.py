"""The graph compiler."""

from sdt_lava.compiler.compile import CompiledNetwork, compile_network
from sdt_lava.compiler.lowering import Lowering, lower
from sdt_lava.compiler.schedule import Schedule
from sdt_lava.lazy import lazy

__all__ = ["CompiledNetwork", "Lowering", "Schedule", "compile_network", "lower"]

__getattr__ = lazy(__name__)
