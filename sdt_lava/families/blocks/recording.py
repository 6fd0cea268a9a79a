"""Record real-valued signals; the model itself records spikes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from sdt_lava.families.blocks.layers import Record
from sdt_lava.families.sdt1.transformer import SpikeDrivenTransformer


@contextmanager
def record_membranes(model: SpikeDrivenTransformer) -> Iterator[Record]:
    """Record the residual stream of every forward pass inside the ``with`` block.

    Yields
    ------
    dict
        The residual stream after ``patch_embed``, ``block.J.attn`` and ``block.J.mlp``, by these
        names, float32 ``(T, B, C, H, W)``; its mean over tokens as ``head_mean``, ``(T, B, C)``.
    """
    membranes: Record = {}

    def keep(name: str, potential: Tensor) -> None:
        membranes[name] = potential.detach().movedim(-1, 0).contiguous()

    names = ["patch_embed"]
    for index in range(model.config.depth):
        names += [f"block.{index}.attn", f"block.{index}.mlp"]
    handles = [
        model.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, out, name=name: keep(name, out)
        )
        for name in names
    ]
    head_lif = model.get_submodule("head_lif")
    handles.append(
        head_lif.register_forward_pre_hook(lambda _module, inputs: keep("head_mean", inputs[0]))
    )
    try:
        yield membranes
    finally:
        for handle in handles:
            handle.remove()
