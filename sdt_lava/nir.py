"""NIR out and in: networks of convolutions, linear layers and LIF neurons for other frameworks.

NIR is the Neuromorphic Intermediate Representation (Pedersen et al., Nature Communications 15,
8122, 2024), https://github.com/neuromorphs/NIR.
"""

from sdt_lava.io.nir.exporter import save_nir, to_nir
from sdt_lava.quantize.from_nir import NirOptions, NirReport, from_nir, load_nir
from sdt_lava.support.lazy import lazy

__all__ = ["NirOptions", "NirReport", "from_nir", "load_nir", "save_nir", "to_nir"]

# Old names of submodules are found below it: see `sdt_lava._moved`.
__path__: list[str] = []

__getattr__ = lazy(__name__)
