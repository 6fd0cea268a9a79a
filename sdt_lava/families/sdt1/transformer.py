"""The Spike-driven Transformer as a torch module."""

from __future__ import annotations

from torch import Tensor, nn

from sdt_lava.errors import ConfigError, DataError
from sdt_lava.families.blocks.layers import Record, keep
from sdt_lava.families.blocks.neurons import make_lif
from sdt_lava.families.model import FamilyModel
from sdt_lava.families.sdt1.attention import SpikeDrivenSelfAttention
from sdt_lava.families.sdt1.config import SdtConfig
from sdt_lava.families.sdt1.mlp import SpikingMlp
from sdt_lava.families.sdt1.patch_splitting import PatchSplitting
from sdt_lava.ir import Input


class EncoderBlock(nn.Module):
    """Spike-driven self-attention followed by the spiking MLP."""

    def __init__(self, config: SdtConfig, name: str) -> None:
        super().__init__()
        self.attn = SpikeDrivenSelfAttention(config, f"{name}.attn")
        self.mlp = SpikingMlp(config, f"{name}.mlp")

    def forward(self, potential: Tensor, record: Record | None = None) -> Tensor:
        """Return the membrane potentials ``(B, D, H, W, T)`` after the block."""
        out: Tensor = self.mlp(self.attn(potential, record), record)
        return out


class SpikeDrivenTransformer(FamilyModel):
    """Spike-driven Transformer (Yao et al., NeurIPS 2023, arXiv 2307.01694).

    Module names match the published checkpoints. The initial weights come from torch's global
    random generator: call ``torch.manual_seed`` first for reproducible weights.

    Parameters
    ----------
    config : SdtConfig
        The architecture.
    """

    config: SdtConfig

    def __init__(self, config: SdtConfig) -> None:
        super().__init__(config)
        self.patch_embed = PatchSplitting(config)
        self.block = nn.ModuleList(
            EncoderBlock(config, f"block.{index}") for index in range(config.depth)
        )
        self.head_lif = make_lif(config)
        self.head = nn.Linear(config.dim, config.num_classes)

    def forward(self, x: Tensor, record: Record | None = None) -> Tensor:
        """Return the logits, averaged over time.

        Parameters
        ----------
        x : Tensor
            Images ``(B, C, H, W)``, presented for ``config.timesteps`` steps, or event frames
            ``(B, T, C, H, W)``, which have one step per frame.
        record : dict, optional
            Receives the spikes of every LIF by name: uint8 ``(T, B, C, H, W)``, or
            ``(T, B, C)`` for ``block.J.attn.talking_heads_lif`` and ``head_lif``.

        Returns
        -------
        Tensor
            Logits ``(B, classes)``.

        Raises
        ------
        DataError
            If the input has the wrong number of axes or channels.
        """
        return self.step_logits(x, record).mean(dim=0)

    def step_logits(self, x: Tensor, record: Record | None = None) -> Tensor:
        """Return the logits of each step ``(T, B, classes)``; arguments as in ``forward``."""
        frames, steps = self._frames(x)
        potential = self.patch_embed(frames, steps, record)
        for block in self.block:
            potential = block(potential, record)
        spikes = self.head_lif(potential.mean(dim=(2, 3)))
        keep(record, "head_lif", spikes)
        logits: Tensor = self.head(spikes.permute(2, 0, 1))
        return logits

    def graph_input(self) -> Input:
        """Return the entry of the network's graph.

        Raises
        ------
        ConfigError
            If the network adds spikes in place of membrane potentials.
        """
        if self.config.shortcut != "membrane":
            raise ConfigError(
                "config.shortcut",
                f"{self.config.shortcut!r}: sums of spikes, with values 0, 1, 2 and more",
                "'membrane': what is exported sends binary spikes only",
                "train the network with membrane shortcuts",
            )
        return super().graph_input()

    def _frames(self, x: Tensor) -> tuple[Tensor, int]:
        """Return the input as ``(B, C, H, W, T)``, with T = 1 if static, and the step count."""
        channels = self.config.in_channels
        if x.ndim not in (4, 5) or x.shape[-3] != channels or 0 in x.shape:
            raise DataError(
                "input",
                f"shape {tuple(x.shape)}",
                f"(B, C, H, W) or (B, T, C, H, W) with C = {channels} and no empty axis",
            )
        if x.ndim == 4:
            return x.unsqueeze(-1), self.config.timesteps
        return x.permute(0, 2, 3, 4, 1), x.shape[1]
