"""``synthetic-dvs``: shapes that move in front of a simulated event camera.

The samples are computed rather than recorded, so that the processing of event data can be tried
without a download. Accuracy on them says nothing about accuracy on real recordings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdt_lava.datasets.base import PARTS, Dataset, FloatArray, check_part
from sdt_lava.errors import DataError

NAME = "synthetic-dvs"
CLASSES = ("right", "left", "down", "up", "growing")
SIZES = {"train": 1000, "test": 400}
SIDE = 16
STEPS = 8
# Number of brightness comparisons per frame: a camera has a finer time resolution than its frames.
_LOOKS = 4
# Positions and sizes are integers in units of 1/16 pixel. Pure integer arithmetic gives the same
# results on all machines.
_UNIT = 16
_SAMPLES_AT_ONCE = 256
_DIRECTIONS = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)], np.int64)
_GROWING = CLASSES.index("growing")

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class SyntheticDvsOptions:
    """Number of recordings, seed and noise of the simulated camera.

    Parameters
    ----------
    samples : int, optional
        Number of recordings; by default 1000 for training and 400 for testing.
    seed : int
        Seed of all random numbers; the parts never share recordings.
    noise_per_mille : int
        Probability of a background event for each pixel, polarity and frame, in 1/1000.
    lost_per_mille : int
        Probability that the camera misses an event, in 1/1000.

    Raises
    ------
    DataError
        If a value is out of range.
    """

    samples: int | None = None
    seed: int = 0
    noise_per_mille: int = 10
    lost_per_mille: int = 100

    def __post_init__(self) -> None:
        if self.samples is not None and self.samples < 1:
            raise DataError(f"{NAME}: samples", str(self.samples), "1 or more")
        if self.seed < 0:
            raise DataError(f"{NAME}: seed", str(self.seed), "0 or more")
        for field in ("noise_per_mille", "lost_per_mille"):
            if not 0 <= getattr(self, field) <= 1000:
                raise DataError(f"{NAME}: {field}", str(getattr(self, field)), "0 to 1000")


def load_synthetic_dvs(part: str = "test", options: SyntheticDvsOptions | None = None) -> Dataset:
    """Return recordings of a bright square, diamond or disk that moves or grows.

    A pixel that the shape enters sends ON events (channel 1), and a pixel that it leaves sends OFF
    events (channel 0): one to three each, depending on the contrast of the recording. The label is
    the direction of motion, or growth in place. Shape, size, position, speed and contrast are
    random and independent of the label.

    Parameters
    ----------
    part : {'train', 'test'}
        Part to return.
    options : SyntheticDvsOptions, optional
        Number of recordings, seed and noise.

    Returns
    -------
    Dataset
        Integer event counts ``(B, 8, 2, 16, 16)``; class sizes differ by at most one.

    Raises
    ------
    DataError
        If the part does not exist.
    """
    check_part(NAME, part)
    options = options or SyntheticDvsOptions()
    samples = options.samples or SIZES[part]
    rng = np.random.default_rng([options.seed, PARTS.index(part)])
    labels = rng.permutation(np.arange(samples, dtype=np.int64) % len(CLASSES))
    x = np.concatenate(
        [
            _record(labels[start : start + _SAMPLES_AT_ONCE], rng, options)
            for start in range(0, samples, _SAMPLES_AT_ONCE)
        ]
    )
    return Dataset(f"{NAME}/{part}", x, labels, len(CLASSES))


def _record(labels: IntArray, rng: np.random.Generator, options: SyntheticDvsOptions) -> FloatArray:
    """Return the event counts ``(B, T, 2, H, W)`` of recordings with the given labels."""
    masks = _scene(labels, rng)
    changes = np.stack([masks[:, :-1] & ~masks[:, 1:], ~masks[:, :-1] & masks[:, 1:]], axis=2)
    contrast = rng.integers(1, 4, len(labels))
    counts = np.zeros(changes.shape, np.int64)
    for event in range(int(contrast.max())):
        is_detected = rng.integers(0, 1000, changes.shape) >= options.lost_per_mille
        counts += changes & is_detected & (contrast > event)[:, None, None, None, None]
    frames = counts.reshape(len(labels), STEPS, _LOOKS, 2, SIDE, SIDE).sum(axis=2)
    frames += rng.integers(0, 1000, frames.shape) < options.noise_per_mille
    return frames.astype(np.float32)


def _scene(labels: IntArray, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return masks of the shape at each comparison, ``(B, T * looks + 1, H, W)``."""
    looks = np.arange(STEPS * _LOOKS + 1) - STEPS * _LOOKS // 2
    batch = len(labels)
    is_growing = labels == _GROWING
    # Speed in units per look: 0.5 to 1.25 pixels per frame. Growth is slower, as both sides move.
    speed = rng.integers(2, 6, batch)
    centre = rng.integers(5 * _UNIT, (SIDE - 5) * _UNIT, (batch, 2))
    displacement = (_DIRECTIONS[labels] * speed[:, None])[:, None, :] * looks[None, :, None]
    position = centre[:, None, :] + displacement
    radius = np.broadcast_to(rng.integers(_UNIT, 3 * _UNIT, batch)[:, None], (batch, len(looks)))
    start = -int(looks[0])
    growing_radius = _UNIT // 2 + ((looks + start)[None, :] * speed[:, None]) // 2
    return _inside(
        position, np.where(is_growing[:, None], growing_radius, radius), rng.integers(0, 3, batch)
    )


def _inside(place: IntArray, radius: IntArray, shape: IntArray) -> npt.NDArray[np.bool_]:
    """Return masks of the pixels whose centres lie in squares (0), diamonds (1) or disks (2)."""
    centres = np.arange(SIDE) * _UNIT + _UNIT // 2
    dx = np.abs(centres - place[..., 0, None])[..., None, :]
    dy = np.abs(centres - place[..., 1, None])[..., :, None]
    size = radius[..., None, None]
    kind = shape[:, None, None, None]
    square = np.maximum(dx, dy) <= size
    # A diamond of the same width would have half the area.
    diamond = 4 * (dx + dy) <= 5 * size
    disk = dx * dx + dy * dy <= size * size
    return np.where(kind == 0, square, np.where(kind == 1, diamond, disk))
