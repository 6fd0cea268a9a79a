"""``synthetic-dvs``: shapes that move in front of a simulated event camera.

Not recordings: the samples are computed, so that the whole path of event data can be used without
a download. Accuracy on them says nothing about accuracy on a real camera.
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
# Brightness is compared this often within a frame: a camera sees more than the frames show.
_LOOKS = 4
# Positions and sizes are integers in this unit of a pixel. With integers alone, no rounding can
# differ between machines.
_UNIT = 16
_SAMPLES_AT_ONCE = 256
_DIRECTIONS = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)], np.int64)
_GROWING = CLASSES.index("growing")

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class SyntheticDvsOptions:
    """What the camera sees and how well.

    Parameters
    ----------
    samples : int, optional
        Recordings; by default 1000 for training and 400 for testing.
    seed : int
        Of everything random; the parts never share recordings.
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

    A pixel that the shape reaches sends ON events (channel 1), a pixel that it leaves sends OFF
    events (channel 0); one to three each time, by the contrast of the recording. The label is
    the direction of motion, or that the shape grows in place. Shape, size, place, speed and
    contrast are random and tell nothing about the label.

    Parameters
    ----------
    part : {'train', 'test'}
        Which part.
    options : SyntheticDvsOptions, optional
        Number of recordings, seed and noise.

    Returns
    -------
    Dataset
        Event counts ``(B, 8, 2, 16, 16)``, whole numbers; as many of each class, up to one.

    Raises
    ------
    DataError
        If there is no such part.
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
    """Return the event counts of some recordings, ``(B, T, 2, H, W)``."""
    bright = _scene(labels, rng)
    changes = np.stack([bright[:, :-1] & ~bright[:, 1:], ~bright[:, :-1] & bright[:, 1:]], axis=2)
    contrast = rng.integers(1, 4, len(labels))
    counts = np.zeros(changes.shape, np.int64)
    for event in range(int(contrast.max())):
        seen = rng.integers(0, 1000, changes.shape) >= options.lost_per_mille
        counts += changes & seen & (contrast > event)[:, None, None, None, None]
    frames = counts.reshape(len(labels), STEPS, _LOOKS, 2, SIDE, SIDE).sum(axis=2)
    frames += rng.integers(0, 1000, frames.shape) < options.noise_per_mille
    return frames.astype(np.float32)


def _scene(labels: IntArray, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return where the shape is at each look, ``(B, T * looks + 1, H, W)``."""
    looks = np.arange(STEPS * _LOOKS + 1) - STEPS * _LOOKS // 2
    batch = len(labels)
    growing = labels == _GROWING
    # Speed in units per look: 0.5 to 1.25 pixels a frame. Growth is slower, as both sides move.
    speed = rng.integers(2, 6, batch)
    middle = rng.integers(5 * _UNIT, (SIDE - 5) * _UNIT, (batch, 2))
    moved = (_DIRECTIONS[labels] * speed[:, None])[:, None, :] * looks[None, :, None]
    place = middle[:, None, :] + moved
    radius = np.broadcast_to(rng.integers(_UNIT, 3 * _UNIT, batch)[:, None], (batch, len(looks)))
    start = -int(looks[0])
    grown = _UNIT // 2 + ((looks + start)[None, :] * speed[:, None]) // 2
    return _inside(place, np.where(growing[:, None], grown, radius), rng.integers(0, 3, batch))


def _inside(place: IntArray, radius: IntArray, shape: IntArray) -> npt.NDArray[np.bool_]:
    """Return the pixels whose centres lie in squares (0), diamonds (1) or disks (2)."""
    centres = np.arange(SIDE) * _UNIT + _UNIT // 2
    across = np.abs(centres - place[..., 0, None])[..., None, :]
    down = np.abs(centres - place[..., 1, None])[..., :, None]
    size = radius[..., None, None]
    kind = shape[:, None, None, None]
    square = np.maximum(across, down) <= size
    # A diamond of the same width would have half the area.
    diamond = 4 * (across + down) <= 5 * size
    disk = across * across + down * down <= size * size
    return np.where(kind == 0, square, np.where(kind == 1, diamond, disk))
