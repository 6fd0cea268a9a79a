"""Read CIFAR-10, CIFAR-100 and ImageNet as the published networks expect, and other images."""

from __future__ import annotations

import contextlib
import logging
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sdt_lava.datasets.base import FloatArray, check_part
from sdt_lava.datasets.normalisation import NORMALISATION
from sdt_lava.datasets.source import LazySource, SourceOptions, fixed_order, missing_files
from sdt_lava.errors import DataError
from sdt_lava.io.files import check_regular, open_regular
from sdt_lava.support.extras import require

logger = logging.getLogger(__name__)

Statistics = tuple[tuple[float, ...], tuple[float, ...]]

# Name of torchvision's class, and the number of classes of the data set.
_CIFAR = {"cifar10": ("CIFAR10", 10), "cifar100": ("CIFAR100", 100)}
_IMAGENET_CLASSES = 1000
_IMAGENET_FOLDERS = {"train": "train", "test": "val"}
_WORDNET_ID = re.compile(r"n\d{8}")
_SUFFIXES = (".jpeg", ".jpg", ".png")
# Fraction of the resized image's side that the crop to 224 keeps.
_CROP_SHARE = 0.95
# Pillow's modes by number of channels, and its code of a resampling filter.
_MODES = {1: "L", 3: "RGB"}
_BICUBIC = 3
# Modes of grey images, and formats whose pixels have 16 bits although Pillow uses 32.
_GREY = ("1", "L", "LA", "La")
_SIXTEEN_BITS = ("PNG", "PPM")


def open_cifar(name: str, part: str, options: SourceOptions) -> LazySource:
    """Open CIFAR-10 or CIFAR-100, 32x32, normalised.

    The files are Python pickles, and an untrusted pickle could execute any code. torchvision only
    reads them if their MD5 sums match those of the original files.

    Raises
    ------
    DataError
        If the files are missing or differ from the original ones.
    """
    check_part(name, part)
    class_name, classes = _CIFAR[name]
    require("torchvision", "images")
    from torchvision import datasets

    dataset_class = getattr(datasets, class_name)
    base = options.folder / dataset_class.base_folder
    files = [base / entry[0] for entry in (*dataset_class.train_list, *dataset_class.test_list)]
    try:
        for file in filter(Path.exists, files):
            check_regular(file, DataError)
        # torchvision prints messages to standard output, which is reserved for our tables.
        with contextlib.redirect_stdout(sys.stderr):
            dataset = dataset_class(
                options.folder, train=part == "train", download=options.download
            )
    except (OSError, RuntimeError) as error:
        raise missing_files(
            name,
            [*files, base / dataset_class.meta["filename"]],
            f"{class_name} for Python by A. Krizhevsky, University of Toronto "
            f"({dataset_class.filename}, MD5 {dataset_class.tgz_md5})",
            f"set download, or unpack {dataset_class.filename} in {options.folder}",
            error,
        ) from error
    labels = np.asarray(dataset.targets, np.int64)
    return LazySource(
        f"{name}/{part}",
        (3, 32, 32),
        labels,
        classes,
        lambda index: normalise(dataset.data[index], NORMALISATION[name]),
        base,
        tuple(files),
    )


def open_imagenet(name: str, part: str, options: SourceOptions) -> LazySource:
    """Open ImageNet (ILSVRC 2012) in class folders; 'test' is its validation set.

    For 224 pixels, the short side of an image is scaled to 235 (224 / 0.95) with bicubic
    interpolation, and the image is cropped to its centre. For 288 pixels, it is scaled to 320 with
    bilinear interpolation, as in the authors' code. The label is the position of the class folder
    in alphabetical order.

    Raises
    ------
    DataError
        If the folders are missing or incomplete.
    """
    check_part(name, part)
    folder = _imagenet_folder(name, part, options)
    prepare = _imagenet_transform(name, options.image_size or 224)
    paths, labels = _list_classes(name, folder)
    order = fixed_order(len(paths))
    side = options.image_size or 224
    return LazySource(
        f"{name}/{part}",
        (3, side, side),
        labels[order],
        _IMAGENET_CLASSES,
        lambda index: _read_image(paths[order[index]], prepare, NORMALISATION["imagenet"]),
        folder,
        tuple(paths),
    )


def image_reader(first: Path, options: SourceOptions) -> Callable[[Path], FloatArray]:
    """Return a function that reads images of any size as frames of a fixed shape.

    Parameters
    ----------
    first : Path
        Image whose size and mode (grey or colour) all frames have, unless `options` set them.
    options : SourceOptions
        ``frame_shape``: images of another size are scaled to cover it (bicubic) and cropped to
        their centre. ``normalisation``: name of the data set whose mean and standard deviation are
        used; otherwise values are pixels / 255.

    Raises
    ------
    DataError
        If frames do not have one or three channels, or the first image cannot be read.
    """
    from PIL import ImageOps

    channels, height, width = options.frame_shape or _shape_of(first)
    if channels not in _MODES:
        raise DataError(f"{first.parent}: images", f"{channels} channels", "1 (grey) or 3 (colour)")
    statistics = NORMALISATION.get(options.normalisation or "")
    if statistics is None or len(statistics[0]) != channels:
        statistics = ((0.0,) * channels, (1.0,) * channels)
        logger.warning("%s: images become pixels / 255, without normalisation", first.parent.parent)
    frame_statistics = statistics

    def prepare(image: Any) -> Any:
        image = image.convert(_MODES[channels])
        if image.size != (width, height):
            image = ImageOps.fit(image, (width, height), method=_BICUBIC)
        return image

    return lambda path: _read_image(path, prepare, frame_statistics)


def _shape_of(path: Path) -> tuple[int, int, int]:
    shape: list[tuple[int, int, int]] = []

    def look(image: Any) -> Any:
        shape.append((1 if image.mode in _GREY else 3, image.height, image.width))
        return image.convert("RGB")

    _read_image(path, look, ((0.0,), (1.0,)))
    return shape[0]


def normalise(pixels: np.ndarray, statistics: Statistics) -> FloatArray:
    """Normalise 8-bit pixels ``(H, W, C)`` to float32 ``(C, H, W)``, mean 0 and deviation 1."""
    mean, deviation = (np.asarray(values, np.float32) for values in statistics)
    fractions = pixels.astype(np.float32) / np.float32(255)
    # Grey images have no channel axis.
    channels_last = ((fractions - mean) / deviation).reshape(*fractions.shape[:2], -1)
    result: FloatArray = channels_last.transpose(2, 0, 1)
    return result


def _imagenet_transform(name: str, side: int) -> Callable[[Any], Any]:
    require("torchvision", "images")
    from torchvision import transforms
    from torchvision.transforms import InterpolationMode

    resizes = {
        224: (math.floor(224 / _CROP_SHARE), InterpolationMode.BICUBIC),
        288: (320, InterpolationMode.BILINEAR),
    }
    if side not in resizes:
        raise DataError(f"{name}: image_size", str(side), f"one of {sorted(resizes)}")
    steps = [_to_rgb, transforms.Resize(*resizes[side]), transforms.CenterCrop(side)]
    return transforms.Compose(steps)


def _to_rgb(image: Any) -> Any:
    return image.convert("RGB")


def _imagenet_folder(name: str, part: str, options: SourceOptions) -> Path:
    folder = _IMAGENET_FOLDERS[part]
    paths = [options.folder / "imagenet" / folder, options.folder / folder]
    for path in paths:
        if path.is_dir():
            return path
    raise missing_files(
        name,
        [paths[0] / "n01440764" / "*.JPEG"],
        "ImageNet ILSVRC 2012, which image-net.org gives to registered users",
        f"sort the images into {paths[0]}/<WordNet id>/, a folder for each of the 1000 classes "
        "(there is no automatic download), or name the folder that has them as root",
    )


def _list_classes(name: str, folder: Path) -> tuple[list[Path], np.ndarray]:
    classes = sorted(entry.name for entry in folder.iterdir() if _WORDNET_ID.fullmatch(entry.name))
    if len(classes) != _IMAGENET_CLASSES:
        raise DataError(
            f"{name}: {folder}",
            f"{len(classes)} class folders",
            f"{_IMAGENET_CLASSES} folders named by WordNet ids such as n01440764",
            "keep the folders of all classes, even empty ones: a label is a position among them",
        )
    paths: list[Path] = []
    labels: list[int] = []
    for label, class_name in enumerate(classes):
        images = sorted(
            path for path in (folder / class_name).iterdir() if path.suffix.lower() in _SUFFIXES
        )
        paths += images
        labels += [label] * len(images)
    if not paths:
        raise DataError(f"{name}: {folder}", "no images", f"files ending in {_SUFFIXES}")
    return paths, np.asarray(labels, np.int64)


def _eight_bits(image: Any, path: Path) -> Any:
    """Convert 16-bit pixels of an image to 8 bits; Pillow would clip larger values to white."""
    from PIL import Image

    is_deep = image.mode.startswith("I;16") or (image.mode == "I" and image.format in _SIXTEEN_BITS)
    if is_deep:
        return Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise DataError(
            str(path),
            f"pixels of mode {image.mode!r}, 32 bits each, of which the file does not say what is "
            "white",
            "pixels of 8 or 16 bits",
            "save images of 8 bits, or arrays: numpy.savez(path, x=..., y=...)",
        )
    return image


def _read_image(path: Path, prepare: Callable[[Any], Any], statistics: Statistics) -> FloatArray:
    from PIL import Image

    try:
        with (
            open_regular(path, DataError, "an image") as file,
            Image.open(file) as image,
        ):
            pixels = np.asarray(prepare(_eight_bits(image, path)))
    except DataError:
        raise
    # Pillow's decoders raise many types of errors for damaged files.
    except Exception as error:
        raise DataError(
            str(path),
            f"not a readable image ({str(error)[:200]})",
            "an image file such as PNG or JPEG",
        ) from error
    return normalise(pixels, statistics)
