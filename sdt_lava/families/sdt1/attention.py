"""Spike-driven self-attention (SDSA): masks and sums, no multiplications."""

from __future__ import annotations

from torch import Tensor

from sdt_lava.families.blocks.layers import (
    Record,
    batch_norm,
    conv1x1,
    dilate_image,
    dilate_tokens,
    keep,
)
from sdt_lava.families.blocks.neurons import make_attention_lif, make_lif
from sdt_lava.families.sdt1.config import SdtConfig
from sdt_lava.families.sdt1.shortcut import ResidualBranch


class SpikeDrivenSelfAttention(ResidualBranch):
    """``U + BN(W_p (q * LIF(sum over tokens of k * v)))`` with spiking q, k and v.

    The paper defines SDSA(Q, K, V) = SN(SUM(Q * K)) * V; the authors' code, and hence the
    published weights, sum k * v and mask q. This module uses the names of the code.

    Parameters
    ----------
    config : SdtConfig
        The network's configuration.
    name : str
        Prefix of the recorded LIFs, such as ``block.0.attn``.
    """

    def __init__(self, config: SdtConfig, name: str) -> None:
        super().__init__(config, name, reads="shortcut_lif", emits="proj_lif")
        self.num_heads = config.num_heads
        self.dvs_mode = config.dvs_mode
        dim = config.dim
        for branch in ("q", "k", "v"):
            self.add_module(f"{branch}_conv", conv1x1(dim, dim))
            self.add_module(f"{branch}_bn", batch_norm(dim))
            self.add_module(f"{branch}_lif", make_lif(config))
        self.talking_heads_lif = make_attention_lif(config)
        self.proj_conv = conv1x1(dim, dim)
        self.proj_bn = batch_norm(dim)

    def forward(self, potential: Tensor, record: Record | None = None) -> Tensor:
        """Return the membrane potentials ``(B, D, H, W, T)`` with the attention added."""
        spikes = self.read(potential, record)
        q, k, v = (self._branch(branch, spikes, record) for branch in ("q", "k", "v"))
        if self.dvs_mode:
            k, v = dilate_image(k), dilate_image(v)
        selected = self._dilate(k * v)
        mask = self.talking_heads_lif(selected.sum(dim=(2, 3)))
        keep(record, f"{self.name}.talking_heads_lif", mask)
        masked = self._dilate(q * mask[:, :, None, None, :])
        attended: Tensor = self.proj_bn(self.proj_conv(masked))
        return potential + self.emit(attended, record)

    def _branch(self, branch: str, spikes: Tensor, record: Record | None) -> Tensor:
        conv = getattr(self, f"{branch}_conv")
        norm = getattr(self, f"{branch}_bn")
        out: Tensor = getattr(self, f"{branch}_lif")(norm(conv(spikes)))
        keep(record, f"{self.name}.{branch}_lif", out)
        return out

    def _dilate(self, spikes: Tensor) -> Tensor:
        return dilate_tokens(spikes, self.num_heads) if self.dvs_mode else spikes
