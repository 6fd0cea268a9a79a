"""Spike-driven Transformers from SLAYER to Lava and Loihi 2.

>>> import sdt_lava
>>> model = sdt_lava.load_model("model.pt")  # doctest: +SKIP
>>> report = sdt_lava.export(model, "net.h5")  # doctest: +SKIP
>>> net = sdt_lava.load_network("net.h5")  # doctest: +SKIP
>>> result = sdt_lava.simulate(net, x, backend="engine")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sdt_lava.errors import SdtLavaError

# Not lazy: the function must replace the attribute that the package of the same name sets when
# it is first imported.
from sdt_lava.simulate.run import simulate

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sdt_lava.checkpoint import load_model, save_checkpoint
    from sdt_lava.compiler.compile import compile_network as compile
    from sdt_lava.datasets import load_dataset
    from sdt_lava.netx import load_network, save_network
    from sdt_lava.quantize.export import export, to_network

# Resolved at first use, so that importing the package loads neither torch nor Lava.
_LAZY = {
    "compile": ("sdt_lava.compiler.compile", "compile_network"),
    "export": ("sdt_lava.quantize.export", "export"),
    "load_dataset": ("sdt_lava.datasets", "load_dataset"),
    "load_model": ("sdt_lava.checkpoint", "load_model"),
    "load_network": ("sdt_lava.netx", "load_network"),
    "save_checkpoint": ("sdt_lava.checkpoint", "save_checkpoint"),
    "save_network": ("sdt_lava.netx", "save_network"),
    "to_network": ("sdt_lava.quantize.export", "to_network"),
}

__all__ = [
    "SdtLavaError",
    "__version__",
    "compile",
    "export",
    "load_dataset",
    "load_model",
    "load_network",
    "save_checkpoint",
    "save_network",
    "simulate",
    "to_network",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
