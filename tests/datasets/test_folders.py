"""Folders of class folders: images, and what SpikingJelly caches of event data."""

from __future__ import annotations

import logging
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from sdt_lava.datasets import SourceOptions, has_parts, load_dataset, open_source
from sdt_lava.datasets.normalisation import NORMALISATION
from sdt_lava.errors import DataError

CLASSES = ["1", "10", "2"]  # in the order of the alphabet, as DatasetFolder labels them


def save_images(folder, size=(6, 5), mode="RGB", count=3):
    """Write images of one colour each; returns the colours by class and number."""
    colours = {}
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            value = 20 * label + 3 * number
            colours[label, number] = value
            Image.new(mode, size, value if mode == "L" else (value, value + 1, value + 2)).save(
                folder / name / f"{number}.png"
            )
    return colours


def save_events(folder, steps=None, seed=0, count=4, by="number"):
    """Write recordings as SpikingJelly does; returns the frames in the order of the files."""
    rng = np.random.default_rng(seed)
    kind = "events_np" if steps is None else f"frames_number_{steps}_split_by_{by}"
    recordings = []
    for name in CLASSES:
        (folder / kind / name).mkdir(parents=True)
        for number in range(count):
            fields = {
                "t": np.sort(rng.integers(0, 10_000, 57)),
                "x": rng.integers(0, 7, 57),
                "y": rng.integers(0, 5, 57),
                "p": rng.integers(0, 2, 57).astype(bool),
            }
            path = folder / kind / name / f"{number}.npz"
            if steps is None:
                np.savez(path, **fields)
            else:
                np.savez(path, frames=counted(fields, steps, (5, 7)))
            recordings.append(fields)
    return recordings


def counted(fields, steps, sensor, by="number"):
    """Frames of counts, event by event."""
    frames = np.zeros((steps, 2, *sensor), np.uint8)
    t = fields["t"]
    if by == "number":
        edges = [len(t) // steps * step for step in range(steps)] + [len(t)]
    else:
        each = (t[-1] - t[0]) // steps
        edges = [int(np.searchsorted(t, t[0] + each * step)) for step in range(steps)] + [len(t)]
    for step, (first, last) in enumerate(pairwise(edges)):
        for event in range(first, last):
            frames[step, int(fields["p"][event]), fields["y"][event], fields["x"][event]] += 1
    return frames


def test_images_are_pixels_with_labels_in_the_order_of_the_alphabet(tmp_path, caplog):
    colours = save_images(tmp_path / "data")
    data = load_dataset(tmp_path / "data")
    assert "pixels / 255" in caplog.text
    assert data.x.shape == (9, 3, 5, 6) and data.num_classes == 3
    for x, y in zip(data.x, data.y, strict=True):
        value = round(float(x[0, 0, 0] * 255))
        assert value in {colours[int(y), number] for number in range(3)}
        assert np.array_equal(x[2], np.full((5, 6), (value + 2) / np.float32(255), np.float32))
    assert set(data.y[:4].tolist()) == {0, 1, 2}  # mixed


def test_hidden_folders_are_no_classes_and_hidden_files_no_samples(tmp_path):
    save_images(tmp_path / "data")
    expected = load_dataset(tmp_path / "data")
    folder = next(entry for entry in (tmp_path / "data").iterdir() if entry.is_dir())
    image = next(folder.iterdir())
    (tmp_path / "data" / ".cache").mkdir()
    (tmp_path / "data" / ".cache" / image.name).write_bytes(image.read_bytes())
    (folder / f"._{image.name}").write_bytes(b"what a file manager keeps")
    data = load_dataset(tmp_path / "data")
    assert data.num_classes == expected.num_classes
    assert np.array_equal(data.x, expected.x) and np.array_equal(data.y, expected.y)


@pytest.mark.parametrize("half", ["train", "test"])
def test_halves_are_told_apart(tmp_path, half):
    save_images(tmp_path / "train", count=4)
    save_images(tmp_path / "val", count=1)
    assert has_parts(str(tmp_path)) and not has_parts(str(tmp_path / "val"))
    assert len(open_source(tmp_path, half)) == {"train": 12, "test": 3}[half]


def test_images_fit_the_network_they_are_for(tmp_path, caplog):
    save_images(tmp_path, size=(16, 12))
    options = SourceOptions(frame_shape=(3, 4, 4), normalisation="cifar10")
    data = load_dataset(tmp_path, options=options)
    assert data.x.shape == (9, 3, 4, 4) and not caplog.records
    mean, deviation = NORMALISATION["cifar10"]
    pixels = data.x[:, 0] * np.float32(deviation[0]) + np.float32(mean[0])
    assert np.allclose(np.sort(pixels[:, 0, 0] * 255), np.sort([0, 3, 6, 20, 23, 26, 40, 43, 46]))
    grey = load_dataset(tmp_path, options=SourceOptions(frame_shape=(1, 4, 4)))
    assert grey.x.shape == (9, 1, 4, 4)
    with pytest.raises(DataError, match="2 channels"):
        load_dataset(tmp_path, options=SourceOptions(frame_shape=(2, 4, 4)))


def test_grey_images_have_one_channel(tmp_path):
    save_images(tmp_path, mode="L")
    assert load_dataset(tmp_path).x.shape == (9, 1, 5, 6)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_grey_images_of_sixteen_bits_are_not_white(tmp_path, suffix):
    values = np.array([[0, 257, 30_000], [32_896, 65_278, 65_535]], np.uint16)
    (tmp_path / "a").mkdir()
    path = tmp_path / "a" / f"0.{suffix}"
    if suffix == "pgm":
        path.write_bytes(b"P5 3 2 65535\n" + values.astype(">u2").tobytes())
    else:
        Image.fromarray(values).save(path)
    (x,) = load_dataset(tmp_path).x
    assert np.array_equal(x[0] * 255, np.rint(values / 257))


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_images_that_do_not_say_what_is_white(tmp_path, dtype):
    (tmp_path / "a").mkdir()
    Image.fromarray(np.full((3, 3), 7, dtype)).save(tmp_path / "a" / "0.tif")
    with pytest.raises(DataError, match="32 bits each"):
        load_dataset(tmp_path)


def test_grey_images_with_transparency_have_one_channel(tmp_path):
    (tmp_path / "a").mkdir()
    Image.new("LA", (3, 2), (9, 255)).save(tmp_path / "a" / "0.png")
    assert load_dataset(tmp_path).x.shape == (1, 1, 2, 3)


@pytest.mark.parametrize("place", ["", "frames_number_4_split_by_number"])
def test_frames_that_spikingjelly_cached(tmp_path, place):
    recordings = save_events(tmp_path, steps=4)
    data = load_dataset(tmp_path / place, options=SourceOptions(timesteps=4))
    assert data.x.shape == (12, 4, 2, 5, 7)
    expected = {counted(fields, 4, (5, 7)).tobytes() for fields in recordings}
    assert {x.astype(np.uint8).tobytes() for x in data.x} == expected


def test_frames_of_another_number_are_made_of_the_events(tmp_path):
    save_events(tmp_path, steps=4)
    with pytest.raises(DataError, match="frames_number_4_split_by_number"):
        load_dataset(tmp_path, options=SourceOptions(timesteps=3))
    recordings = save_events(tmp_path)
    for by, binning in (("number", "count"), ("time", "time")):
        options = SourceOptions(timesteps=3, frame_shape=(2, 5, 7), binning=binning)
        data = load_dataset(tmp_path, options=options)
        expected = {counted(fields, 3, (5, 7), by).tobytes() for fields in recordings}
        assert {x.astype(np.uint8).tobytes() for x in data.x} == expected


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_recordings_of_few_events(tmp_path, length):
    (tmp_path / "a").mkdir()
    fields = {name: np.zeros(length, np.int16) for name in "txyp"}
    np.savez(tmp_path / "a" / "0.npz", **fields)
    for binning in ("count", "time"):
        options = SourceOptions(timesteps=2, frame_shape=(2, 3, 3), binning=binning)
        x = load_dataset(tmp_path, options=options).x
        assert x.sum() == length
        if length == 1 or (length and binning == "time"):
            assert x[0, 1].sum() == length  # all are the remainder of a division by 2


def damaged(folder, kind):
    folder = folder / "a"
    folder.mkdir()
    path = folder / "0.npz"
    fields = {name: np.zeros(4, int) for name in "txyp"}
    if kind == "empty":
        return
    if kind == "outside":
        fields["x"][2] = 3
    if kind == "lengths":
        fields["x"] = fields["x"][:3]
    if kind == "missing":
        del fields["p"]
    if kind == "objects":
        fields["p"] = np.array([{}] * 4)
    if kind == "frames":
        fields = {"frames": np.zeros((2, 5, 7))}
    np.savez(path, **fields)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:300])
    if kind == "mixed":
        Image.new("L", (3, 3)).save(folder / "1.png")
    if kind == "text":
        path.unlink()
        (folder / "1.png").write_text("no image")


@pytest.mark.parametrize(
    "kind",
    ["empty", "outside", "lengths", "missing", "objects", "frames", "truncated", "mixed", "text"],
)
def test_what_is_no_data_set(tmp_path, kind):
    damaged(tmp_path, kind)
    options = SourceOptions(timesteps=2, frame_shape=(2, 3, 3))
    with pytest.raises(DataError) as caught:
        load_dataset(tmp_path, options=options)
    assert str(tmp_path) in str(caught.value)


def test_frames_of_other_shapes_and_events_without_a_network(tmp_path):
    save_events(tmp_path / "events")
    with pytest.raises(DataError, match="SourceOptions"):
        load_dataset(tmp_path / "events")
    with pytest.raises(DataError, match="frame_shape"):
        load_dataset("digits", options=SourceOptions(frame_shape=(1, 8, 8)))
    with pytest.raises(DataError, match="a folder of class folders"):
        load_dataset(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (np.ones((1, 2, 3, 3)), r"b/0.npz: shape \(1, 2, 3, 3\).*\(4, 2, 3, 3\)"),
        (np.ones((4, 2, 3, 1)), r"shape \(4, 2, 3, 1\)"),
        (np.full((4, 2, 3, 3), np.nan), "NaN"),
        (np.full((4, 2, 3, 3), 1e300), "infinite"),
    ],
)
def test_frames_that_are_not_like_the_first(tmp_path, other, found):
    for name, frames in (("a", np.ones((4, 2, 3, 3))), ("b", other)):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "0.npz", frames=frames)
    with pytest.raises(DataError, match=found):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("t", np.linspace(0, 0.5, 4), "t: fractions.*microseconds"),
        ("x", np.full(4, 1.5), "x: fractions"),
        ("p", np.full(4, np.nan), "p: fractions or NaN"),
        ("t", np.array([-(2**63), 0, 1, 2**63 - 1]), "t: -9223372036854775808 to"),
        ("y", np.full(4, 2**64 - 1, np.uint64), "y: 18446744073709551615"),
    ],
)
def test_events_that_no_integers_hold(tmp_path, name, values, found):
    fields = {field: np.zeros(4, int) for field in "txyp"} | {name: values}
    (tmp_path / "a").mkdir()
    np.savez(tmp_path / "a" / "0.npz", **fields)
    options = SourceOptions(timesteps=2, frame_shape=(2, 3, 3), binning="time")
    with pytest.raises(DataError, match=found):
        load_dataset(tmp_path, options=options)


def test_npy_files_hold_samples_without_labels(tmp_path):
    x = np.random.default_rng(0).integers(0, 9, (3, 1, 4, 4))
    np.save(tmp_path / "x.npy", x)
    data = load_dataset(tmp_path / "x.npy")
    assert np.array_equal(data.x, x) and data.y is None
    np.save(tmp_path / "o.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(DataError, match="object"):
        load_dataset(tmp_path / "o.npy")
    (tmp_path / "short.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-5])
    with pytest.raises(DataError, match="damaged"):
        load_dataset(tmp_path / "short.npy")


def test_warnings_do_not_repeat_for_every_image(tmp_path, caplog):
    save_images(tmp_path)
    with caplog.at_level(logging.WARNING):
        list(open_source(tmp_path).batches(batch_size=2))
    assert len(caplog.records) == 1
