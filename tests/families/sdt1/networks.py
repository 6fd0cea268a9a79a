"""Small networks with random weights that make every layer fire."""

from __future__ import annotations

import torch

from sdt_lava.model import SdtConfig, SpikeDrivenTransformer

TINY = {
    "image_size": (8, 8),
    "in_channels": 2,
    "num_classes": 3,
    "dim": 16,
    "depth": 2,
    "timesteps": 3,
    "num_heads": 2,
    "mlp_ratio": 2.0,
    "pooling_stat": "0101",
}


def tiny_config(**changes) -> SdtConfig:
    return SdtConfig(**{**TINY, **changes})


def lively_network(config: SdtConfig, seed: int = 0) -> SpikeDrivenTransformer:
    """Return a network in eval mode whose BatchNorms are not the identity."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = SpikeDrivenTransformer(config).eval()

    def uniform(like, low, high):
        return torch.rand(like.shape, generator=generator) * (high - low) + low

    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("running_var"):
                value.copy_(uniform(value, 0.1, 0.5))
            elif name.endswith("running_mean"):
                value.copy_(uniform(value, -0.2, 0.2))
            elif "_bn" in name and name.endswith("weight"):
                value.copy_(uniform(value, 0.5, 2.0))
            elif "_bn" in name and name.endswith("bias"):
                value.copy_(uniform(value, 0.2, 1.8))
    return model


def random_input(shape, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1000 + seed)) * 4 - 1
