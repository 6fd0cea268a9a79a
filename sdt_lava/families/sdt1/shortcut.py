"""Both kinds of shortcuts around a layer: membrane potentials and SEW spikes."""

from __future__ import annotations

from torch import Tensor, nn

from sdt_lava.families.blocks.layers import Record, keep
from sdt_lava.families.blocks.neurons import make_lif
from sdt_lava.families.sdt1.config import SdtConfig


class ResidualBranch(nn.Module):
    """A branch with a shortcut around it, and the neurons at the start or end of the branch.

    Membrane shortcut: neurons read the stream of potentials, ``U + f(LIF(U))``. SEW ("spike
    element-wise", Fang et al., NeurIPS 2021, with addition): neurons are at the end of the branch,
    ``S + LIF(f(S))``, so the stream is a sum of spikes with values 0, 1, 2, ...

    Parameters
    ----------
    config : SdtConfig
        The network's configuration.
    name : str
        Prefix of the recorded LIFs.
    reads, emits : str
        Names of the neurons that read a membrane stream, and of those at the end of a SEW branch;
        a branch has only one of them. If `reads` is empty, the stream is read elsewhere.
    """

    def __init__(self, config: SdtConfig, name: str, reads: str, emits: str) -> None:
        super().__init__()
        self.name = name
        self.membrane = config.shortcut == "membrane"
        self._shortcut_lif = reads if self.membrane else emits
        if self._shortcut_lif:
            self.add_module(self._shortcut_lif, make_lif(config))

    def read(self, stream: Tensor, record: Record | None) -> Tensor:
        """Return the input of the branch: spikes of the stream, or the stream itself."""
        return self._spikes(stream, record) if self.membrane else stream

    def emit(self, current: Tensor, record: Record | None) -> Tensor:
        """Return the contribution of the branch to the stream: currents, or their spikes."""
        return current if self.membrane else self._spikes(current, record)

    def _spikes(self, current: Tensor, record: Record | None) -> Tensor:
        spikes: Tensor = getattr(self, self._shortcut_lif)(current)
        keep(record, f"{self.name}.{self._shortcut_lif}", spikes)
        return spikes
