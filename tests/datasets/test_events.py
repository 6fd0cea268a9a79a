"""Event files in the formats that tonic reads, made into frames."""

from __future__ import annotations

import hashlib
import sys
import tarfile
from itertools import pairwise

import numpy as np
import pytest

from sdt_lava.datasets import SourceOptions, load_dataset, open_source
from sdt_lava.datasets.events import halve
from sdt_lava.errors import ConfigError, DataError
from tests.datasets.aedat4 import write_aedat4

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def events(rng, count=60, duration=1000):
    """Random events: sorted times, x, y, polarity."""
    times = np.sort(rng.integers(0, duration, count))
    times[[0, -1]] = 0, duration
    return times, *rng.integers(0, 128, (2, count)), rng.integers(0, 2, count)


def counted(recording, edges):
    """Frames of the events between the edges, indices into the recording."""
    _, x, y, polarity = recording
    frames = np.zeros((len(edges) - 1, 2, 128, 128))
    for frame, (first, last) in enumerate(pairwise(edges)):
        for index in range(first, last):
            frames[frame, polarity[index], y[index], x[index]] += 1
    return frames


def by_time(recording, steps):
    times = recording[0]
    window = (times[-1] - times[0]) // steps
    return counted(recording, np.searchsorted(times, times[0] + window * np.arange(steps + 1)))


def by_count(recording, steps):
    """As spikingjelly's loader: equal shares, and what is left over in the last frame."""
    edges = len(recording[0]) // steps * np.arange(steps + 1)
    edges[-1] = len(recording[0])
    return counted(recording, edges)


@pytest.fixture
def gesture(tmp_path):
    """A hundred recordings of ten users, and what is in them."""
    pytest.importorskip("tonic")
    rng = np.random.default_rng(0)
    recordings = {}
    for user in range(10):
        folder = tmp_path / "DVSGesture" / "ibmGestureTest" / f"user{user:02d}_led"
        folder.mkdir(parents=True)
        for label in range(10):
            t, x, y, p = events(rng)
            recordings[user, label] = (t * 1000, x, y, p)  # files are in ms
            np.save(folder / f"{label}.npy", np.stack([x, y, p, t], axis=1))
    (tmp_path / "DVSGesture" / "ibmGestureTest.tar.gz").touch()
    return tmp_path, recordings


@pytest.mark.parametrize(("binning", "expected"), [("time", by_time), ("count", by_count)])
def test_gesture_frames_count_events(gesture, binning, expected):
    root, recordings = gesture
    options = SourceOptions(root=root, timesteps=7, binning=binning)
    data = load_dataset("dvs128-gesture", "test", 100, options=options)
    assert data.x.shape == (100, 7, 2, 128, 128)
    assert data.num_classes == 11
    assert np.bincount(data.y).tolist() == [10] * 10
    frames = {sample.tobytes(): label for sample, label in zip(data.x, data.y, strict=True)}
    for (_, label), recording in recordings.items():
        key = expected(recording, 7).astype(np.float32).tobytes()
        assert frames[key] == label


def test_gesture_defaults_and_order(gesture):
    root, _ = gesture
    source = open_source("dvs128-gesture", options=SourceOptions(root=root))
    assert source.sample_shape == (16, 2, 128, 128)
    first = next(source.batches([0])).x
    options = SourceOptions(root=root, binning="count")
    assert np.array_equal(first, load_dataset("dvs128-gesture", samples=1, options=options).x)
    labels = np.concatenate([batch.y for batch in source.batches(batch_size=50)])
    assert len(set(labels[:10].tolist())) > 3
    with pytest.raises(DataError, match=r"ibmGestureTrain\.tar\.gz"):
        load_dataset("dvs128-gesture", "train", root=root)


@pytest.mark.parametrize("count", [1, 5, 15, 16, 17, 31, 33])
def test_no_event_is_lost_by_count(gesture, count):
    """Also where there are fewer events than frames: all of them are then in the last."""
    root, _ = gesture
    recording = events(np.random.default_rng(count), count)
    t, x, y, p = recording
    path = root / "DVSGesture" / "ibmGestureTest" / "user00_led" / "0.npy"
    np.save(path, np.stack([x, y, p, t], axis=1))
    expected = by_count((t * 1000, x, y, p), 16).astype(np.float32)
    assert expected.sum() == count
    source = open_source("dvs128-gesture", options=SourceOptions(root=root))
    found = [sample for batch in source.batches() for sample in batch.x]
    assert sum(np.array_equal(sample, expected) for sample in found) == 1


def test_empty_and_damaged_recordings(gesture):
    root, _ = gesture
    path = root / "DVSGesture" / "ibmGestureTest" / "user03_led" / "4.npy"
    np.save(path, np.zeros((0, 4), np.int64))
    data = load_dataset("dvs128-gesture", root=root)
    assert sorted(data.x.any(axis=(1, 2, 3, 4)).tolist()) == [False] + [True] * 99
    np.save(path, np.full((3, 4), 500))
    with pytest.raises(DataError, match=r"4\.npy"):
        load_dataset("dvs128-gesture", root=root)
    np.save(path, np.array([{}]), allow_pickle=True)
    with pytest.raises(DataError, match="allow_pickle"):
        load_dataset("dvs128-gesture", root=root)


def test_an_archive_put_there_by_hand_is_verified_and_unpacked(gesture, monkeypatch, capsys):
    from tonic.datasets import DVSGesture

    root, _ = gesture
    base = root / "DVSGesture"
    archive = base / "ibmGestureTest.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(base / "ibmGestureTest", "ibmGestureTest")
    (base / "ibmGestureTest").rename(root / "aside")
    with pytest.raises(DataError, match="set download"):
        load_dataset("dvs128-gesture", root=root)
    monkeypatch.setattr(DVSGesture, "test_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    assert len(load_dataset("dvs128-gesture", "test", 5, root, download=True)) == 5
    assert capsys.readouterr().out == ""


@pytest.fixture
def cifar10_dvs(tmp_path):
    """A hundred recordings of each class (tonic asks for a thousand files); few of them differ."""
    pytest.importorskip("tonic")
    pytest.importorskip("aedat")
    rng = np.random.default_rng(0)
    recordings = {}
    for label, name in enumerate(CLASSES):
        folder = tmp_path / "CIFAR10DVS" / name
        folder.mkdir(parents=True)
        recordings[label] = events(rng, 137)
        for number in range(100):
            write_aedat4(folder / f"cifar10_{name}_{number}.aedat4", *recordings[label])
    (tmp_path / "CIFAR10DVS" / "CIFAR10DVS.zip").touch()
    return tmp_path, recordings


def test_cifar10_dvs(cifar10_dvs):
    root, recordings = cifar10_dvs
    test, train = (
        open_source("cifar10-dvs", part, SourceOptions(root=root)) for part in ("test", "train")
    )
    assert (len(test), len(train), test.num_classes) == (100, 900, 10)
    assert test.sample_shape == (10, 2, 64, 64)
    data = load_dataset("cifar10-dvs", "test", 30, root)
    assert np.array_equal(data.x * 4, np.rint(data.x * 4))
    for sample, label in zip(data.x, data.y, strict=True):
        assert np.array_equal(sample, halve(by_count(recordings[int(label)], 10)))
    options = SourceOptions(root=root, binning="time")
    data = load_dataset("cifar10-dvs", "test", 30, options=options)
    for sample, label in zip(data.x, data.y, strict=True):
        assert np.array_equal(sample, halve(by_time(recordings[int(label)], 10)))


def test_cifar10_dvs_trains_on_the_first_nine_tenths_of_the_names(cifar10_dvs):
    root, _ = cifar10_dvs
    # In the order of names, 99 comes last and 100 would come near the front.
    path = root / "CIFAR10DVS" / "cat" / "cifar10_cat_99.aedat4"
    path.write_bytes(b"#!AER-DAT4.0\r\n")
    for part, damaged in (("train", False), ("test", True)):
        source = open_source("cifar10-dvs", part, SourceOptions(root=root, timesteps=1))
        found = [index for index in range(len(source)) if not _readable(source, index)]
        assert len(found) == damaged


def _readable(source, index):
    try:
        next(source.batches([index]))
    except DataError as error:
        assert "cifar10_cat_99" in error.where
        return False
    return True


def test_halving_is_bilinear_scaling():
    torch = pytest.importorskip("torch")
    frames = np.random.default_rng(0).integers(0, 9, (3, 2, 8, 6)).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(frames), scale_factor=0.5, mode="bilinear", align_corners=False
    )
    assert np.array_equal(halve(frames), expected.numpy())


@pytest.mark.parametrize("name", ["dvs128-gesture", "cifar10-dvs"])
def test_without_tonic(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tonic", None)
    with pytest.raises(ConfigError, match=r"sdt-lava\[events\]"):
        load_dataset(name, root=tmp_path)
