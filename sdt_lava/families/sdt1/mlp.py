"""The two-layer spiking MLP of an encoder block."""

from __future__ import annotations

from torch import Tensor

from sdt_lava.families.blocks.layers import Record, batch_norm, conv1x1, keep
from sdt_lava.families.blocks.neurons import make_lif
from sdt_lava.families.sdt1.config import SdtConfig
from sdt_lava.families.sdt1.shortcut import ResidualBranch


class SpikingMlp(ResidualBranch):
    """``U + BN(W2 LIF(BN(W1 LIF(U))))``.

    If the hidden layer is as wide as the network, the official code adds an inner shortcut:
    ``g = BN(W1 LIF(U)) + U``, and ``g`` replaces ``U`` in the outer sum.

    Parameters
    ----------
    config : SdtConfig
        The network's configuration.
    name : str
        Prefix of the recorded LIFs, such as ``block.0.mlp``.
    """

    def __init__(self, config: SdtConfig, name: str) -> None:
        super().__init__(config, name, reads="fc1_lif", emits="fc2_output_lif")
        self.inner_shortcut = self.membrane and config.hidden_dim == config.dim
        self.fc1_conv = conv1x1(config.dim, config.hidden_dim)
        self.fc1_bn = batch_norm(config.hidden_dim)
        self.fc2_lif = make_lif(config)
        self.fc2_conv = conv1x1(config.hidden_dim, config.dim)
        self.fc2_bn = batch_norm(config.dim)

    def forward(self, potential: Tensor, record: Record | None = None) -> Tensor:
        """Return the membrane potentials ``(B, D, H, W, T)`` with the MLP's output added."""
        spikes = self.read(potential, record)
        hidden: Tensor = self.fc1_bn(self.fc1_conv(spikes))
        if self.inner_shortcut:
            hidden = potential = hidden + potential
        spikes = self.fc2_lif(hidden)
        keep(record, f"{self.name}.fc2_lif", spikes)
        out: Tensor = self.fc2_bn(self.fc2_conv(spikes))
        return potential + self.emit(out, record)
