"""Count operations as the paper does: operations of the dense network, times T, times rates.

Source: Yao et al., "Spike-driven Transformer", NeurIPS 2023, main text and supplement: a
convolution has ``k^2 h w c_in c_out`` operations and a linear layer has ``i o`` for each token; the
first convolution reads real values and multiplies, all other layers read spikes and only add.
A layer of spikes performs ``T R FLOPs`` additions, where R is the firing rate of its *input*.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from sdt_lava._moved import old_names
from sdt_lava.families.formula import Formula, FormulaLayer, vanilla_attention
from sdt_lava.families.sdt1.config import SdtConfig

KERNEL = 3

__getattr__ = old_names(__name__)


def formula_layers(config: SdtConfig) -> tuple[FormulaLayer, ...]:
    """Return the rows of the paper's accounting for a network.

    Parameters
    ----------
    config : SdtConfig
        The architecture. Its ``downsampling`` matters: a strided convolution has a quarter of the
        operations of one whose output is pooled afterwards, as in the paper.

    Returns
    -------
    tuple of FormulaLayer
        Rows in order of execution; each block has one row ``...attn.sdsa`` for the masks and sums.
    """
    return (*_patch_splitting(config), *_blocks(config), _head(config))


def _dense_operators(config: SdtConfig) -> int:
    """Return the operations of softmax attention in all blocks, without its projections."""
    attention = vanilla_attention(config.num_tokens, config.dim)
    return config.depth * (attention.total - attention.qkv)


def _patch_splitting(config: SdtConfig) -> Iterator[FormulaLayer]:
    height, width = config.image_size
    channels, source, pool = config.in_channels, "", ""
    for stage, out in enumerate(config.stage_channels):
        suffix = str(stage) if stage else ""
        halves = config.pooling_stat[stage] == "1"
        halved = (ceil(height / 2), ceil(width / 2)) if halves else (height, width)
        output_size = halved if config.downsampling == "stride" else (height, width)
        yield _conv(f"proj_conv{suffix}", channels, out, output_size, source, pool)
        (height, width), channels = halved, out
        source = f"patch_embed.proj_lif{suffix}"
        pools = halves and config.downsampling != "stride"
        pool = f"patch_embed.maxpool{suffix}" if pools else ""
    # The official last stage pools before the neurons, so the positional convolution reads their
    # spikes unpooled.
    pool = "" if config.downsampling == "max" else pool
    yield _conv("rpe_conv", config.dim, config.dim, (height, width), source, pool)


def _conv(
    name: str, channels: int, out: int, size: tuple[int, int], source: str, pool: str
) -> FormulaLayer:
    height, width = size
    return FormulaLayer(
        name=f"patch_embed.{name}",
        block="patch_embed",
        kind="conv",
        operation="ac" if source else "mac",
        flops=KERNEL**2 * height * width * channels * out,
        parameters=KERNEL**2 * channels * out + 2 * out,
        inputs=(source,) if source else (),
        pooled=bool(pool),
        formula=f"k^2 h w c_in c_out = {KERNEL}^2 * {height} * {width} * {channels} * {out}",
        pooled_inputs=(pool,) if pool else (),
    )


def _blocks(config: SdtConfig) -> Iterator[FormulaLayer]:
    dim, hidden = config.dim, config.hidden_dim
    for index in range(config.depth):
        attention, mlp = f"block.{index}.attn", f"block.{index}.mlp"
        for branch in ("q", "k", "v"):
            shortcut = (f"{attention}.shortcut_lif",)
            yield _linear(config, f"{attention}.{branch}_conv", dim, dim, shortcut, bias=False)
        yield _sdsa(config, attention)
        masked = (f"{attention}.mask{'_dilate' * config.dvs_mode}",)
        yield _linear(config, f"{attention}.proj_conv", dim, dim, masked, bias=True)
        yield _linear(config, f"{mlp}.fc1_conv", dim, hidden, (f"{mlp}.fc1_lif",), bias=True)
        yield _linear(config, f"{mlp}.fc2_conv", hidden, dim, (f"{mlp}.fc2_lif",), bias=True)


def _linear(
    config: SdtConfig, name: str, width: int, out: int, inputs: tuple[str, ...], *, bias: bool
) -> FormulaLayer:
    tokens = config.num_tokens
    return FormulaLayer(
        name=name,
        block=name.rsplit(".", 1)[0],
        kind="linear",
        operation="ac",
        flops=tokens * width * out,
        parameters=width * out + out * bias + 2 * out,
        inputs=inputs,
        pooled=False,
        formula=f"N i o = {tokens} * {width} * {out}",
    )


def _sdsa(config: SdtConfig, block: str) -> FormulaLayer:
    # There are no multiplications: the operands of the column sum are spikes, and the paper adds
    # their rates (its Q and K are k and v in the code). In dvs_mode, both are dilated first.
    spikes = "dilate" if config.dvs_mode else "lif"
    return FormulaLayer(
        name=f"{block}.sdsa",
        block=block,
        kind="sdsa",
        operation="ac",
        flops=config.num_tokens * config.dim,
        parameters=0,
        inputs=(f"{block}.k_{spikes}", f"{block}.v_{spikes}"),
        pooled=False,
        formula=f"N D = {config.num_tokens} * {config.dim}",
    )


def _head(config: SdtConfig) -> FormulaLayer:
    return FormulaLayer(
        name="head",
        block="head",
        kind="linear",
        operation="ac",
        flops=config.dim * config.num_classes,
        parameters=config.dim * config.num_classes + config.num_classes,
        inputs=("head_lif",),
        pooled=False,
        formula=f"i o = {config.dim} * {config.num_classes}",
    )


FORMULA = Formula(formula_layers, _dense_operators)
