"""Augment training samples randomly."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def shift_randomly(x: Tensor, max_shift: int, generator: torch.Generator) -> Tensor:
    """Shift each sample by its own random offset and fill with zeros.

    Parameters
    ----------
    x : Tensor
        ``(B, ..., H, W)``.
    max_shift : int
        Largest offset in pixels, in each direction.
    generator : torch.Generator
        Source of the offsets.

    Returns
    -------
    Tensor
        Same shape.
    """
    if max_shift == 0:
        return x
    height, width = x.shape[-2:]
    padded = functional.pad(x, (max_shift,) * 4)
    corners = torch.randint(0, 2 * max_shift + 1, (len(x), 2), generator=generator).tolist()
    return torch.stack(
        [
            sample[..., top : top + height, left : left + width]
            for sample, (top, left) in zip(padded, corners, strict=True)
        ]
    )
