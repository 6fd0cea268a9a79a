"""Spike-driven Transformers from PyTorch to Lava and Loihi 2.

>>> import sdt_lava
>>> model = sdt_lava.load_model("model.pt")  # doctest: +SKIP
>>> report = sdt_lava.export(model, "net.h5")  # doctest: +SKIP
>>> net = sdt_lava.load_network("net.h5")  # doctest: +SKIP
>>> result = sdt_lava.simulate(net, x, backend="engine")  # doctest: +SKIP
"""

from __future__ import annotations

from pkgutil import iter_modules
from typing import TYPE_CHECKING

from sdt_lava import _moved
from sdt_lava._version import __version__
from sdt_lava.backends.run import simulate
from sdt_lava.errors import SdtLavaError
from sdt_lava.support.lazy import lazy

if TYPE_CHECKING:
    from sdt_lava.backends.deployment import compile_network as compile
    from sdt_lava.datasets import load_dataset
    from sdt_lava.families import load_model, save_checkpoint
    from sdt_lava.importers import trace
    from sdt_lava.io.netx import load_network, save_network
    from sdt_lava.quantize.export import export, to_network

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
    "trace",
]

_moved.install()

# Importing the package loads neither torch nor Lava.
__getattr__ = lazy(
    __name__,
    {
        "compile": "backends.deployment:compile_network",
        "export": "quantize.export",
        "load_dataset": "datasets",
        "load_model": "families",
        "load_network": "io.netx",
        "save_checkpoint": "families",
        "save_network": "io.netx",
        "to_network": "quantize.export",
        "trace": "importers",
    },
)


def __dir__() -> list[str]:
    modules = {module.name for module in iter_modules(__path__) if module.name[0] != "_"}
    return sorted({*__all__, *modules})
