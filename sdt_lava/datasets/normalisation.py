"""Choose the integer levels of real input, from the data set's loader or from the data."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np

from sdt_lava.ir.numerics import INPUT_LIMIT

# Mean and standard deviation per channel with which the shipped configurations normalise.
NORMALISATION: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
}
_PIXEL_LEVELS = 255
_IMAGE_CHANNELS = (1, 3)
# Tolerance for float32 noise around an integer number of levels (at most 32,767).
_WHOLE = 1e-2
# Denominators of counts averaged over 2, 4, 8 or 16 pixels.
_SHARES = (2, 4, 8, 16)


@dataclass(frozen=True)
class InputLevels:
    """Integer levels per unit of the input, and the smallest and largest level."""

    scale: float
    low: int
    high: int


COUNTS = InputLevels(1.0, 0, _PIXEL_LEVELS)
PIXELS = InputLevels(float(_PIXEL_LEVELS), 0, _PIXEL_LEVELS)
_QUARTERS = InputLevels(4.0, 0, _PIXEL_LEVELS)
# Levels of the event data that the loaders return. The authors' loader of 'cifar10-dvs' averages
# 2x2 pixels of the frames, which gives multiples of 1/4; their loader of 'cifar10-dvs-tet'
# converts counts to images from 0 to 1 in steps of 1/255 (ToPILImage, ToTensor). N-Caltech101 is
# resized by selecting pixels.
EVENT_LEVELS = {
    "dvs128-gesture": (COUNTS, "events are counted: one level a count"),
    "cifar10-dvs": (_QUARTERS, "counts are averaged over 2x2 pixels: four levels a count"),
    "cifar10-dvs-tet": (PIXELS, "its loader makes images of 0 to 1 in steps of 1/255"),
    "ncaltech101": (COUNTS, "events are counted: one level a count"),
}
# Size of unscaled camera frames.
_NATIVE = {"cifar10-dvs": (128, 128)}
# Data sets for which the training code sets dvs_mode.
DVS_MODE_DATASETS = ("cifar10-dvs", "cifar10-dvs-tet", "ncaltech101")


def event_levels(dataset: str, image_size: tuple[int, int] | None) -> tuple[InputLevels, str]:
    """Return the levels of a known event data set, and the reason for them.

    Parameters
    ----------
    dataset : str
        A name in `EVENT_LEVELS`.
    image_size : tuple of int or None
        Height and width of the frames.
    """
    if image_size is not None and image_size == _NATIVE.get(dataset):
        return COUNTS, "frames of full size are counts: one level a count"
    return EVENT_LEVELS[dataset]


def assumed_levels(channels: int) -> tuple[InputLevels, str]:
    """Return the levels to assume for a number of channels, and the reason for them.

    Parameters
    ----------
    channels : int
        Three or one for colour or grey images, two for on and off events.
    """
    if channels in _IMAGE_CHANNELS:
        return PIXELS, "images of 0 to 1 are assumed, one level a pixel value"
    return COUNTS, "event counts are assumed, one level a count"


def measured_levels(x: Any) -> tuple[InputLevels, str]:
    """Choose the fewest levels that represent the data exactly, if 16 bits suffice.

    Parameters
    ----------
    x : array_like
        Real, finite samples.

    Returns
    -------
    levels : InputLevels
        One level per count for integers, 255 per unit for images from 0 to 1, 2 to 16 per count
        for averages of counts; otherwise 255 levels for the value with the largest magnitude.
    reason : str
        Reason for the levels.
    """
    values = np.asarray(x, np.float64)
    low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    if low >= 0:
        for scale, reason in _exact_scales(high):
            if high * scale <= INPUT_LIMIT and _are_whole(values * scale):
                top = max(_PIXEL_LEVELS, ceil(high * scale - _WHOLE))
                return InputLevels(float(scale), 0, top), reason
    magnitude = max(-low, high)
    spacing = max(1.0, float(floor(_PIXEL_LEVELS / magnitude))) if magnitude else 1.0
    top = min(INPUT_LIMIT, max(1, ceil(magnitude * spacing)))
    reason = f"real values from {low:.4g} to {high:.4g}"
    return InputLevels(spacing, -top if low < 0 else 0, top), reason


def _exact_scales(high: float) -> list[tuple[int, str]]:
    scales = [(1, "whole numbers: one level a count")]
    if high <= 1:
        scales.append((_PIXEL_LEVELS, "images of 0 to 1 in steps of 1/255"))
    return scales + [(share, f"multiples of 1/{share}: averages of counts") for share in _SHARES]


def _are_whole(levels: np.ndarray) -> bool:
    is_empty = 0 < float(levels.max(initial=0.0)) < 1 - _WHOLE  # less than one level
    return not is_empty and bool((np.abs(levels - np.rint(levels)) < _WHOLE).all())


def image_levels(mean: tuple[float, ...], std: tuple[float, ...]) -> InputLevels:
    """Choose levels for 8-bit images that were normalised with ``(p / 255 - mean) / std``.

    Adjacent pixel values differ by ``1 / (255 std)``, so ``255 max(std)`` levels per unit
    distinguish all 256 values in every channel; the range is exactly that of the values. More
    levels would represent each value better but reduce the resolution of the first weights.

    Parameters
    ----------
    mean, std : tuple of float
        One value per channel.
    """
    scale = float(ceil(_PIXEL_LEVELS * max(std)))
    bounds = list(zip(mean, std, strict=True))
    low = floor(scale * min(-m / s for m, s in bounds))
    high = ceil(scale * max((1 - m) / s for m, s in bounds))
    return InputLevels(scale, min(low, 0), max(high, 0))
