"""Both kinds of shortcut around a layer: membrane potentials and SEW spikes."""

from __future__ import annotations

from torch import Tensor, nn

from sdt_lava.model.config import SdtConfig
from sdt_lava.model.layers import Record, keep
from sdt_lava.model.neurons import make_lif


class Shortcut(nn.Module):
    """Where the neurons of a residual branch sit.

    Membrane shortcut: neurons read the stream of potentials, ``U + f(LIF(U))``. SEW ("spike
    element-wise", Fang et al., NeurIPS 2021, with addition): neurons end the branch,
    ``S + LIF(f(S))``, so the stream is a sum of spikes with values 0, 1, 2, ...

    Parameters
    ----------
    config : SdtConfig
        The network's configuration.
    name : str
        Prefix of what is recorded.
    reads, emits : str
        Names of the neurons that read a membrane stream, or end a SEW branch.
    """

    def __init__(self, config: SdtConfig, name: str, reads: str, emits: str) -> None:
        super().__init__()
        self.membrane = config.shortcut == "membrane"
        self.reads, self.emits = f"{name}.{reads}", f"{name}.{emits}"
        self.lif = make_lif(config)

    def read(self, stream: Tensor, record: Record | None) -> Tensor:
        """Return what the branch reads: spikes of the stream, or the stream itself."""
        if not self.membrane:
            return stream
        spikes: Tensor = self.lif(stream)
        keep(record, self.reads, spikes)
        return spikes

    def emit(self, current: Tensor, record: Record | None) -> Tensor:
        """Return what the branch adds to the stream: currents, or their spikes."""
        if self.membrane:
            return current
        spikes: Tensor = self.lif(current)
        keep(record, self.emits, spikes)
        return spikes
