"""The graph compiler."""

from typing import TYPE_CHECKING

from sdt_lava.support.lazy import lazy

if TYPE_CHECKING:
    from sdt_lava.compiler.compile import CompiledNetwork, compile_graph
    from sdt_lava.compiler.lowering import Lowering, lower
    from sdt_lava.compiler.schedule import Schedule

__all__ = ["CompiledNetwork", "Lowering", "Schedule", "compile_graph", "lower"]

# What is known about targets is wanted without all that compiles for them.
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
