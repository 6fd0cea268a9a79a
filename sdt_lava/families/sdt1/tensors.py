"""Names and shapes of all tensors of a Spike-driven Transformer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sdt_lava.families.sdt1.config import SdtConfig

Shape = tuple[int, ...]


def expected_tensors(config: SdtConfig) -> dict[str, Shape]:
    """Return the name and shape of every entry of the state dict of a network.

    They are computed from the configuration alone, so that a file can be rejected before a network
    of the claimed size is built.
    """
    templates: dict[str, Shape] = {}
    for prefix, out_channels, in_channels, kernel in _convolutions(config):
        templates[f"{prefix}_conv{{}}.weight"] = (out_channels, in_channels, kernel, kernel, 1)
        for vector in ("weight", "bias", "running_mean", "running_var"):
            templates[f"{prefix}_bn{{}}.{vector}"] = (out_channels,)
        templates[f"{prefix}_bn{{}}.num_batches_tracked"] = ()
    expected = dict(_with_stage_numbers(templates))
    expected["head.weight"] = (config.num_classes, config.dim)
    expected["head.bias"] = (config.num_classes,)
    return expected


def _convolutions(config: SdtConfig) -> Iterator[tuple[str, int, int, int]]:
    """Yield name prefix, output channels, input channels and kernel size of each convolution."""
    dim, hidden = config.dim, config.hidden_dim
    in_channels = config.in_channels
    for stage, out_channels in enumerate(config.stage_channels):
        yield f"{stage}|patch_embed.proj", out_channels, in_channels, 3
        in_channels = out_channels
    yield "patch_embed.rpe", dim, dim, 3
    for block in range(config.depth):
        for branch in ("q", "k", "v", "proj"):
            yield f"block.{block}.attn.{branch}", dim, dim, 1
        yield f"block.{block}.mlp.fc1", hidden, dim, 1
        yield f"block.{block}.mlp.fc2", dim, hidden, 1


def _with_stage_numbers(expected: Mapping[str, Shape]) -> Iterator[tuple[str, Shape]]:
    for template, shape in expected.items():
        stage, _, pattern = template.rpartition("|")
        # The first stage of the patch splitting has no number in its names.
        yield pattern.format("" if stage in ("", "0") else stage), shape
