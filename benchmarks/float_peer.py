"""The float model in the form of the authors' code, which is a little faster than the module.

Images of all steps are convolved at once, ``(T * B, C, H, W)``, batch normalisation is an operator
of its own, and neurons are a loop over steps, as with the torch back end of SpikingJelly.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sdt_lava.families.sdt1.transformer import SpikeDrivenTransformer

_THRESHOLD = 1.0


class FloatPeer:
    """A model's equations in evaluation mode.

    Parameters
    ----------
    model : SpikeDrivenTransformer
        With max-pooling and plain LIF neurons (tau = 2), in evaluation mode.
    """

    def __init__(self, model: SpikeDrivenTransformer) -> None:
        self._config = model.config
        self._head = model.head
        self._layers = {
            name: (module.weight.detach()[..., 0].contiguous(), module.padding[0], bn)
            for name, module in model.named_modules()
            if "conv" in name.rpartition(".")[2]
            and (bn := model.get_submodule(name.replace("conv", "bn"))) is not None
        }

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Return the logits ``(B, classes)`` of images ``(B, C, H, W)``."""
        stream = self._patch_splitting(
            images.unsqueeze(0).repeat(self._config.timesteps, 1, 1, 1, 1)
        )
        for block in range(self._config.depth):
            stream = stream + self._attention(f"block.{block}.attn", fire(stream))
            hidden = fire(self._conv(f"block.{block}.mlp.fc1_conv", fire(stream)))
            stream = stream + self._conv(f"block.{block}.mlp.fc2_conv", hidden)
        logits: Tensor = self._head(fire(stream.mean(dim=(3, 4)))).mean(0)
        return logits

    def _patch_splitting(self, x: Tensor) -> Tensor:
        for stage, pooled in enumerate(self._config.pooling_stat):
            x = self._conv(f"patch_embed.proj_conv{stage or ''}", x)
            x = fire(x) if stage < len(self._config.pooling_stat) - 1 else x
            if pooled == "1":
                steps = len(x)
                x = functional.max_pool2d(x.flatten(0, 1), 3, 2, 1).unflatten(0, (steps, -1))
        return x + self._conv("patch_embed.rpe_conv", fire(x))

    def _attention(self, name: str, spikes: Tensor) -> Tensor:
        q, k, v = (fire(self._conv(f"{name}.{part}_conv", spikes)) for part in "qkv")
        column = (k * v).sum(dim=(3, 4), keepdim=True)
        return self._conv(f"{name}.proj_conv", q * fire(column, self._config.attention_threshold))

    def _conv(self, name: str, x: Tensor) -> Tensor:
        weight, padding, bn = self._layers[name]
        y = functional.conv2d(x.flatten(0, 1), weight, padding=padding)
        y = functional.batch_norm(
            y, bn.running_mean, bn.running_var, bn.weight, bn.bias, False, 0.0, bn.eps
        )
        return y.unflatten(0, x.shape[:2])


def fire(currents: Tensor, threshold: float = _THRESHOLD) -> Tensor:
    """Return the spikes of LIF neurons with tau = 2 and a hard reset, over all steps."""
    spikes = torch.empty_like(currents)
    voltage = torch.zeros_like(currents[0])
    for step, current in enumerate(currents):
        charged = voltage + (current - voltage) / 2
        spike = (charged >= threshold).to(currents.dtype)
        spikes[step] = spike
        voltage = charged * (1 - spike)
    return spikes
