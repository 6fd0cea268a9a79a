"""Compile integer graphs to networks of Lava processes."""

from typing import TYPE_CHECKING

from sdt_lava.support.lazy import lazy

if TYPE_CHECKING:
    from sdt_lava.compiler.compile import CompiledNetwork, compile_graph
    from sdt_lava.compiler.lowering import Lowering, lower
    from sdt_lava.compiler.schedule import Schedule

__all__ = ["CompiledNetwork", "Lowering", "Schedule", "compile_graph", "lower"]

# Import lazily, so that targets can be described without importing the compiler.
__getattr__ = lazy(
    __name__,
    {
        "CompiledNetwork": "compile",
        "Lowering": "lowering",
        "Schedule": "schedule",
        "compile_graph": "compile",
        "lower": "lowering",
    },
)
