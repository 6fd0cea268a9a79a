"""Draw small pictures as data URIs: spike rasters, images and attention maps."""

from __future__ import annotations

import base64
import fnmatch
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdt_lava.backends.result import Result
from sdt_lava.errors import ConfigError
from sdt_lava.ir import And, Graph

RASTER_ROWS = 40
# Side of the pictures of samples, in pixels before scaling in the browser.
_PICTURE_SIDE = 160


@dataclass(frozen=True)
class Raster:
    """Spikes of a layer as a picture, with a row per neuron and a column per step.

    Parameters
    ----------
    name : str
        Layer.
    neurons : int
        Number of rows.
    uri : str
        PNG as data URI; spikes are black, the rest is transparent.
    """

    name: str
    neurons: int
    uri: str


@dataclass(frozen=True)
class AttentionPicture:
    """A sample, and the tokens at which attention lets queries pass, for each block.

    Parameters
    ----------
    image : str
        The sample as data URI.
    label, predicted : int or None
        True and predicted class.
    maps : tuple of (str, str, float)
        Block, picture as data URI, and fraction of query channels that pass.
    """

    image: str
    label: int | None
    predicted: int
    maps: tuple[tuple[str, str, float], ...]


def chosen_layers(net: Graph, patterns: Sequence[str]) -> frozenset[str]:
    """Return the populations of neurons whose names match any of the patterns.

    Raises
    ------
    ConfigError
        If a pattern matches no population.
    """
    layers: set[str] = set()
    for pattern in patterns:
        matches = fnmatch.filter(net.memory_names, pattern)
        if not matches:
            names = ", ".join(net.memory_names)
            raise ConfigError("layers", repr(pattern), f"names, or patterns with *, of {names}")
        layers.update(matches)
    return frozenset(layers)


def rasters(result: Result, samples: int, layers: Collection[str]) -> tuple[Raster, ...]:
    """Draw the spikes of the given layers for the first samples."""
    pictures = []
    for name in (name for name in result.sent if name in layers):
        spikes = np.asarray(result.sent[name])[:, :samples]
        flat = np.swapaxes(spikes, 0, 1).reshape(-1, int(np.prod(spikes.shape[2:]))).T
        rows = np.unique(np.linspace(0, len(flat) - 1, RASTER_ROWS).astype(int))
        alpha = np.where(flat[rows] != 0, 255, 0).astype(np.uint8)
        pixels = np.stack([np.zeros_like(alpha), alpha], axis=-1)
        pictures.append(Raster(name, len(rows), _uri(Image.fromarray(pixels, "LA"))))
    return tuple(pictures)


def attention_pictures(
    result: Result, labels: NDArray[np.int64] | None, samples: int
) -> tuple[AttentionPicture, ...]:
    """Draw the tokens at which attention lets queries pass; nothing without attention."""
    from sdt_lava.engine import Engine, RunRequest

    net, frames = result.integer_run("attention")
    masks = [
        node.name
        for node in net.of_type(And)
        if node.name.endswith(".mask") and len(net.shapes[node.name]) == 3
    ]
    if not masks or len(net.input_shape) != 3:
        return ()
    spikes_by_name = {name: np.asarray(spikes)[:, :samples] for name, spikes in result.sent.items()}
    query_spikes = Engine(net, strict=False).run(
        frames[:, :samples], RunRequest(masks, recorded=spikes_by_name)
    )
    pictures = []
    for sample in range(min(samples, frames.shape[1])):
        image = _gray(frames[:, sample].astype(float).mean(axis=(0, 1)))
        maps = tuple(
            (name.rsplit(".", 2)[0], *_overlay(image, query_spikes[name][:, sample]))
            for name in masks
        )
        label = None if labels is None else int(labels[sample])
        pictures.append(
            AttentionPicture(_uri(_enlarged(image)), label, int(result.labels[sample]), maps)
        )
    return tuple(pictures)


def _overlay(image: NDArray[np.uint8], passed: NDArray[np.generic]) -> tuple[str, float]:
    """Colour an image by the fraction of channels that pass at each token."""
    share = np.asarray(passed, float).mean(axis=(0, 1))
    strongest = share.max()
    heat = Image.fromarray(np.uint8(255 * share / strongest if strongest else share))
    picture = _enlarged(image)
    strength = np.asarray(heat.resize(picture.size, Image.Resampling.NEAREST), float)[..., None]
    gray = np.repeat(np.asarray(picture, float)[..., None], 3, axis=2)
    warm = np.array([255.0, 120.0, 20.0])
    mixed = gray * (1 - 0.65 * strength / 255) + warm * (0.65 * strength / 255)
    return _uri(Image.fromarray(np.uint8(mixed))), float(share.mean())


def _gray(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    low, high = values.min(), values.max()
    span = high - low if high > low else 1.0
    return (255 * (values - low) / span).astype(np.uint8)


def _enlarged(image: NDArray[np.uint8]) -> Image.Image:
    height, width = image.shape
    factor = max(1, _PICTURE_SIDE // max(height, width))
    size = (width * factor, height * factor)
    return Image.fromarray(image).resize(size, Image.Resampling.NEAREST)


def _uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
