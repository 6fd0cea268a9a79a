"""Random networks with the features of lava-dl's netx files: recurrence, delays, own parameters."""

from __future__ import annotations

import numpy as np

from sdt_lava.ir import CubaLif, Flatten, Graph
from tests.graphs import GraphMaker


def random_cuba_fields(
    rng: np.random.Generator, channels: int, threshold: int, *, delay: int = 0, shift: int = 0
) -> dict:
    """Parameters that differ from channel to channel."""
    return {
        "threshold": rng.integers(threshold // 2 + 1, threshold + 2, channels),
        "voltage_decay": rng.integers(0, 4097, channels),
        "current_decay": rng.integers(1500, 4097, channels),
        "bias": rng.integers(-threshold // 4, threshold // 2 + 1, channels),
        "delay": rng.integers(0, delay + 1, channels) if delay else 0,
        "drive_shift": shift,
    }


def random_cuba_chain(
    rng: np.random.Generator,
    *,
    image: tuple[int, ...] = (2, 5, 4),
    timesteps: int = 6,
    delay: int = 3,
    shift: int = 0,
    recurrent: bool = True,
) -> Graph:
    """Return image neurons, a convolution, and two dense layers, all of CUBA neurons.

    Parameters
    ----------
    rng : numpy Generator
        Source of all random values.
    image : tuple of int
        ``(C, H, W)``, or ``(features,)`` for a network without convolution.
    timesteps : int
        Steps of one sample.
    delay : int
        Longest axonal delay.
    shift : int
        Drive shift of the convolution's neurons.
    recurrent : bool
        Give the first dense layer recurrent weights.
    """
    maker = GraphMaker(rng, spread_limit=600)
    entry = maker.input(image, -20, 100)
    fields = random_cuba_fields(rng, image[0], 120)
    last = maker.add(CubaLif(name="image", inputs=(entry,), **fields))
    if len(image) == 3:
        last = maker.conv("conv", last, 3, (3, 3), padding=(1, 0))
        fields = random_cuba_fields(rng, 3, 150, delay=delay, shift=shift)
        last = maker.add(CubaLif(name="conv_lif", inputs=(last,), **fields))
        last = maker.add(Flatten(name="flatten", inputs=(last,)))
    last = maker.dense("hidden", last, 7)
    fields = random_cuba_fields(rng, 7, 200, delay=delay)
    if recurrent:
        fields["weight_rec"] = 2 * rng.integers(-60, 61, (7, 7))
    last = maker.add(CubaLif(name="hidden_lif", inputs=(last,), **fields))
    last = maker.dense("out", last, 4)
    maker.lif("out_lif", last, voltage_decay=1024)
    return maker.graph(timesteps)
