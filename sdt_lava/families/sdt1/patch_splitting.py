"""Spiking patch splitting: four convolution stages and a positional one."""

from __future__ import annotations

from torch import Tensor

from sdt_lava.families.blocks.layers import MaxPool, Record, Subsample, batch_norm, conv3x3, keep
from sdt_lava.families.blocks.neurons import make_lif
from sdt_lava.families.sdt1.config import NUM_STAGES, SdtConfig
from sdt_lava.families.sdt1.shortcut import ResidualBranch


def _suffix(stage: int) -> str:
    # The published checkpoints name the first stage without a number.
    return str(stage) if stage else ""


class PatchSplitting(ResidualBranch):
    """Convert an image to the membrane potentials of a grid of tokens.

    The first three stages compute ``s = LIF(BN(conv(s)))``; the last one passes its pre-activation
    ``f`` on through a membrane shortcut: ``U = f + BN(rpe_conv(LIF(f)))``. The point at which a
    stage halves the image depends on ``config.downsampling``; only 'max' in the last stage takes
    the maximum of real numbers, all other methods use spikes or strides.

    Parameters
    ----------
    config : SdtConfig
        The network's configuration.
    name : str
        Prefix of the recorded LIFs.
    """

    def __init__(self, config: SdtConfig, name: str = "patch_embed") -> None:
        # The neurons of the last stage read the membrane stream.
        super().__init__(config, name, reads="", emits="rpe_lif")
        self.downsampling = config.downsampling
        self.halves = tuple(flag == "1" for flag in config.pooling_stat)
        in_channels = config.in_channels
        for stage, out_channels in enumerate(config.stage_channels):
            strided = self.halves[stage] and config.downsampling == "stride"
            conv = conv3x3(in_channels, out_channels, stride=2 if strided else 1)
            self.add_module(f"proj_conv{_suffix(stage)}", conv)
            self.add_module(f"proj_bn{_suffix(stage)}", batch_norm(out_channels))
            self.add_module(f"proj_lif{_suffix(stage)}", make_lif(config))
            if self.halves[stage] and not strided:
                self.add_module(f"maxpool{_suffix(stage)}", MaxPool())
            in_channels = out_channels
        if self.halves[-1] and config.downsampling == "or":
            self.subsample3 = Subsample()
        self.rpe_conv = conv3x3(config.dim, config.dim)
        self.rpe_bn = batch_norm(config.dim)

    def forward(self, x: Tensor, steps: int, record: Record | None = None) -> Tensor:
        """Return the membrane potentials ``U``.

        Parameters
        ----------
        x : Tensor
            Input ``(B, C, H, W, T)``; T = 1 for an image that is the same at every step.
        steps : int
            Number of time steps to which a T of 1 is expanded.
        record : dict, optional
            Dict in which the spikes of the LIFs are stored.

        Returns
        -------
        Tensor
            Shape ``(B, D, H', W', T)``.
        """
        # Convolved once because a static image produces the same current at each step.
        current = self._current(x, 0)
        current = current.expand(*current.shape[:-1], steps)
        last = NUM_STAGES - 1
        for stage in range(last):
            spikes = self._fire(current, stage, record)
            if self.halves[stage] and self.downsampling != "stride":
                spikes = getattr(self, f"maxpool{_suffix(stage)}")(spikes)
            current = self._current(spikes, stage + 1)
        potential, spikes = self._last_stage(current, record)
        stream = potential if self.membrane else spikes
        position: Tensor = self.rpe_bn(self.rpe_conv(spikes))
        return stream + self.emit(position, record)

    def _last_stage(self, current: Tensor, record: Record | None) -> tuple[Tensor, Tensor]:
        """Return the membrane shortcut and the spikes of the last stage."""
        stage = NUM_STAGES - 1
        if not self.halves[stage] or self.downsampling == "stride":
            return current, self._fire(current, stage, record)
        if self.downsampling == "max":
            pooled = self.maxpool3(current)
            return pooled, self._fire(pooled, stage, record)
        # A maximum of potentials has no spiking counterpart. Instead, the spikes are pooled, and
        # the shortcut takes the potentials at the centres of the pooling windows.
        spikes = self.maxpool3(self._fire(current, stage, record))
        return self.subsample3(current), spikes

    def _current(self, x: Tensor, stage: int) -> Tensor:
        conv = getattr(self, f"proj_conv{_suffix(stage)}")
        norm = getattr(self, f"proj_bn{_suffix(stage)}")
        current: Tensor = norm(conv(x))
        return current

    def _fire(self, current: Tensor, stage: int, record: Record | None) -> Tensor:
        lif = f"proj_lif{_suffix(stage)}"
        spikes: Tensor = getattr(self, lif)(current)
        keep(record, f"{self.name}.{lif}", spikes)
        return spikes
