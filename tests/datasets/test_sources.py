"""Data sets that are read when needed, and the images among them, in their formats on disk."""

from __future__ import annotations

import hashlib
import pickle
import tarfile

import numpy as np
import pytest
from PIL import Image

from sdt_lava.datasets import (
    SOURCES,
    Dataset,
    LazySource,
    MemorySource,
    SourceOptions,
    first_samples,
    load_dataset,
    open_source,
)
from sdt_lava.errors import DataError
from sdt_lava.io.limits import allowing

MEAN = np.array([0.4914, 0.4822, 0.4465])
DEVIATION = np.array([0.2470, 0.2435, 0.2616])


def counting_source(samples=10, shape=(2, 3, 3)):
    """A source whose sample i is filled with i, and the list of what was read."""
    read = []

    def fill(index):
        read.append(index)
        return np.full(shape, index, np.float32)

    labels = np.arange(samples, dtype=np.int64) % 4
    return LazySource("counting", shape, labels, 4, fill), read


def test_batches_read_only_what_is_asked_for():
    lazy, read = counting_source()
    batches = lazy.batches(batch_size=4)
    assert read == []
    first = next(batches)
    assert read == [0, 1, 2, 3]
    assert isinstance(first, Dataset)
    assert [len(batch) for batch in batches] == [4, 2]
    (chosen,) = lazy.batches([7, 2])
    assert chosen.x[:, 0, 0, 0].tolist() == [7, 2]
    assert chosen.y.tolist() == [3, 2]
    assert list(lazy.batches([])) == []


def test_first_samples():
    lazy, read = counting_source()
    assert first_samples(lazy, 3).x.shape == (3, 2, 3, 3)
    assert read == [0, 1, 2]
    assert len(first_samples(lazy)) == 10
    for wrong in (0, 11):
        with pytest.raises(DataError, match="1 to 10"):
            first_samples(lazy, wrong)


def test_wrong_indices_and_sizes():
    lazy, _ = counting_source()
    for indices in ([10], [-1]):
        with pytest.raises(DataError, match="0 to 9"):
            next(lazy.batches(indices))
    with pytest.raises(DataError, match="batch_size"):
        next(lazy.batches(batch_size=0))


def test_memory_is_checked_before_anything_is_read():
    lazy, read = counting_source()
    with allowing(batch_values=5 * 18):
        with pytest.raises(DataError, match="at most 5 samples"):
            first_samples(lazy)
        with pytest.raises(DataError, match=r"open_source\(...\)"):
            next(lazy.batches(batch_size=6))
        assert read == []
        assert sum(len(batch) for batch in lazy.batches(batch_size=5)) == 10


def test_data_in_memory_is_a_source_too():
    data = open_source("digits")
    assert isinstance(data, MemorySource)
    assert (len(data), data.sample_shape, data.num_classes) == (360, (1, 8, 8), 10)
    batches = list(data.batches(batch_size=100))
    assert np.array_equal(np.concatenate([batch.x for batch in batches]), load_dataset("digits").x)
    unlabelled = MemorySource(Dataset("test", np.zeros((3, 2), np.float32), None, 0))
    assert next(unlabelled.batches([1])).y is None


@pytest.mark.parametrize("shape", [(5, 7), (5, 4, 7)])
def test_vectors(shape, tmp_path):
    np.savez(tmp_path / "data.npz", x=np.ones(shape), y=np.arange(5))
    assert load_dataset(tmp_path / "data.npz").x.shape == shape


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("part", ["train", "test"])
def test_missing_files_are_named(name, part, tmp_path):
    if "dvs" in name:
        pytest.importorskip("tonic")
    with pytest.raises(DataError) as error:
        load_dataset(name, part, root=tmp_path)
    text = str(error.value)
    assert str(tmp_path) in error.value.found
    assert "the files of" in error.value.allowed
    assert str(tmp_path) in error.value.remedy
    assert "http" not in text
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match="part"):
        load_dataset(name, "validation", root=tmp_path)


def test_root_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SDT_LAVA_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(DataError, match="elsewhere"):
        load_dataset("cifar10")
    assert SourceOptions(root=tmp_path).folder == tmp_path


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("digits", {"timesteps": 4}),
        ("cifar10", {"binning": "time"}),
        ("imagenet", {"timesteps": 4}),
        ("dvs128-gesture", {"image_size": 224}),
    ],
)
def test_options_that_do_not_apply(name, option, tmp_path):
    with pytest.raises(DataError, match="no such option"):
        load_dataset(name, options=SourceOptions(root=tmp_path, **option))


def test_options_out_of_range(tmp_path):
    with pytest.raises(DataError, match="timesteps"):
        SourceOptions(timesteps=0)
    with pytest.raises(DataError, match="binning"):
        SourceOptions(binning="frames")
    (tmp_path / "imagenet" / "val").mkdir(parents=True)
    with pytest.raises(DataError, match="224, 288"):
        load_dataset("imagenet", options=SourceOptions(root=tmp_path, image_size=256))


# CIFAR


def fake_cifar(root, monkeypatch, class_name, samples=4):
    """Write files as torchvision expects them, and let it accept their MD5 sums."""
    from torchvision import datasets

    kind = getattr(datasets, class_name)
    rng = np.random.default_rng(0)
    labels = "labels" if class_name == "CIFAR10" else "fine_labels"
    folder = root / kind.base_folder
    folder.mkdir(parents=True)
    written = {}

    def write(name, content):
        (folder / name).write_bytes(pickle.dumps(content))
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    for attribute in ("train_list", "test_list"):
        entries = []
        for name, _ in getattr(kind, attribute):
            pixels = rng.integers(0, 256, (samples, 3072), np.uint8)
            written[name] = {"data": pixels, labels: rng.integers(0, 10, samples).tolist()}
            entries.append([name, write(name, written[name])])
        monkeypatch.setattr(kind, attribute, entries)
    meta = dict(kind.meta)
    meta["md5"] = write(meta["filename"], {meta["key"]: [str(label) for label in range(10)]})
    monkeypatch.setattr(kind, "meta", meta)
    return folder, written


def test_cifar10(tmp_path, monkeypatch):
    _, files = fake_cifar(tmp_path, monkeypatch, "CIFAR10")
    test, train = (load_dataset("cifar10", part, root=tmp_path) for part in ("test", "train"))
    assert (len(test), len(train), test.num_classes) == (4, 20, 10)
    stored = files["test_batch"]
    pixels = stored["data"].reshape(-1, 3, 32, 32) / 255
    expected = (pixels - MEAN[:, None, None]) / DEVIATION[:, None, None]
    assert test.x == pytest.approx(expected, abs=1e-5)
    assert test.y.tolist() == stored["labels"]


def test_cifar100(tmp_path, monkeypatch):
    _, files = fake_cifar(tmp_path, monkeypatch, "CIFAR100")
    test = load_dataset("cifar100", samples=3, root=tmp_path)
    assert test.x.shape == (3, 3, 32, 32)
    assert test.num_classes == 100
    assert test.y.tolist() == files["test"]["fine_labels"][:3]


class Exploit:
    def __reduce__(self):
        return (pytest.fail, ("a pickle of unknown origin was read",))


def test_only_the_original_pickles_are_read(tmp_path, monkeypatch):
    folder, _ = fake_cifar(tmp_path, monkeypatch, "CIFAR10")
    for path in folder.iterdir():
        whole = path.read_bytes()
        path.write_bytes(pickle.dumps(Exploit()))
        with pytest.raises(DataError, match="MD5"):
            load_dataset("cifar10", root=tmp_path)
        path.write_bytes(whole)


def test_cifar_archives_are_verified_and_unpacked(tmp_path, monkeypatch, capsys):
    from torchvision.datasets import CIFAR10

    made, root = tmp_path / "made", tmp_path / "root"
    root.mkdir()
    folder, _ = fake_cifar(made, monkeypatch, "CIFAR10")
    with tarfile.open(root / CIFAR10.filename, "w:gz") as archive:
        archive.add(folder, CIFAR10.base_folder)
    # The MD5 sum is not that of the archive, and the original cannot be fetched.
    monkeypatch.setattr(CIFAR10, "url", (tmp_path / "nowhere").as_uri())
    with pytest.raises(DataError, match="University of Toronto"):
        load_dataset("cifar10", root=root, download=True)
    content = (root / CIFAR10.filename).read_bytes()
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(content).hexdigest())
    assert len(load_dataset("cifar10", root=root, download=True)) == 4
    assert capsys.readouterr().out == ""


# ImageNet


@pytest.fixture
def imagenet(tmp_path):
    """A thousand class folders, a few of them with images."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "imagenet" / "val"
    for label in range(1000):
        (folder / f"n{label:08d}").mkdir(parents=True)
    sizes = {(3, "a.JPEG"): (300, 400), (3, "b.JPEG"): (500, 250), (998, "c.png"): (240, 240)}
    for (label, name), (height, width) in sizes.items():
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"n{label:08d}" / name)
    gray = Image.fromarray(rng.integers(0, 256, (260, 300), np.uint8))
    gray.save(folder / "n00000000" / "gray.JPEG")
    return folder


def official(path, resize, crop, method):
    """The evaluation transform of the published code, written out."""
    image = Image.open(path).convert("RGB")
    width, height = image.size
    short = min(width, height)
    size = [int(resize * side / short) for side in (width, height)]
    image = image.resize(size, method)
    left, top = (round((side - crop) / 2) for side in image.size)
    pixels = np.asarray(image.crop((left, top, left + crop, top + crop))) / 255
    return ((pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).transpose(2, 0, 1)


@pytest.mark.parametrize(
    ("side", "resize", "method"),
    [(224, 235, Image.Resampling.BICUBIC), (288, 320, Image.Resampling.BILINEAR)],
)
def test_imagenet_is_prepared_as_published(imagenet, side, resize, method):
    options = SourceOptions(root=imagenet.parent.parent, image_size=side)
    data = load_dataset("imagenet", options=options)
    assert data.x.shape == (4, 3, side, side)
    assert data.num_classes == 1000
    assert sorted(data.y.tolist()) == [0, 3, 3, 998]
    only = data.x[data.y.tolist().index(998)]
    path = imagenet / "n00000998" / "c.png"
    assert only == pytest.approx(official(path, resize, side, method), abs=1e-5)
    pair = [data.x[row] for row in np.flatnonzero(data.y == 3)]
    for name in ("a.JPEG", "b.JPEG"):
        expected = official(imagenet / "n00000003" / name, resize, side, method)
        assert min(float(np.abs(found - expected).max()) for found in pair) < 1e-5


def test_imagenet_samples_come_in_a_fixed_mixed_order(imagenet):
    root = imagenet.parent
    labels = load_dataset("imagenet", root=root).y.tolist()
    assert labels != sorted(labels)
    assert load_dataset("imagenet", samples=2, root=root).y.tolist() == labels[:2]


def test_imagenet_needs_every_class_folder(imagenet):
    (imagenet / "n00000500").rmdir()
    with pytest.raises(DataError, match="999 class folders"):
        load_dataset("imagenet", root=imagenet.parent)


def test_a_damaged_image_is_named(imagenet):
    path = imagenet / "n00000003" / "a.JPEG"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"a\.JPEG"):
        load_dataset("imagenet", root=imagenet.parent)
