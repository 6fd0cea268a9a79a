"""NIR out and in: networks of convolutions, linear layers and LIF neurons for other frameworks.

NIR is the Neuromorphic Intermediate Representation (Pedersen et al., Nature Communications 15,
8122, 2024), https://github.com/neuromorphs/NIR.
"""

from sdt_lava.lazy import lazy
from sdt_lava.nir.exporter import save_nir, to_nir
from sdt_lava.nir.importer import NirOptions, NirReport, from_nir
from sdt_lava.nir.reader import load_nir

__all__ = ["NirOptions", "NirReport", "from_nir", "load_nir", "save_nir", "to_nir"]

__getattr__ = lazy(__name__)
