"""How real input becomes integer levels: from the normalisation of images, or event counts."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

# Mean and standard deviation a channel that the shipped configuration files subtract and divide by.
NORMALISATION: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
}
_PIXEL_LEVELS = 255


@dataclass(frozen=True)
class InputLevels:
    """Integer levels per unit of the input, and the smallest and largest level."""

    scale: float
    low: int
    high: int


# Events are counted. Frames of CIFAR10-DVS are halved by averaging 2x2 pixels, which leaves
# multiples of 1/4.
EVENT_LEVELS = {
    "dvs128-gesture": InputLevels(1.0, 0, 255),
    "cifar10-dvs": InputLevels(4.0, 0, 255),
}


def image_levels(mean: tuple[float, ...], std: tuple[float, ...]) -> InputLevels:
    """Choose levels for 8-bit images that were normalised with ``(p / 255 - mean) / std``.

    Neighbouring pixel values are ``1 / (255 std)`` apart, so that ``255 max(std)`` levels a unit
    keep all 256 of them apart in every channel; the range is exactly what they can reach. More
    levels would represent each value better, at the price of resolution of the first weights.

    Parameters
    ----------
    mean, std : tuple of float
        A value a channel.
    """
    scale = float(ceil(_PIXEL_LEVELS * max(std)))
    bounds = list(zip(mean, std, strict=True))
    low = floor(scale * min(-m / s for m, s in bounds))
    high = ceil(scale * max((1 - m) / s for m, s in bounds))
    return InputLevels(scale, min(low, 0), max(high, 0))
