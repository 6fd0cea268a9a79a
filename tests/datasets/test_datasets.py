"""Data sets by name and from files."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest

from sdt_lava.datasets import Dataset, load_dataset, load_digits_split, load_npz
from sdt_lava.errors import DataError
from sdt_lava.io.limits import limits

IMAGES = np.random.default_rng(0).random((5, 2, 4, 3)).astype(np.float32)


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "data.npz", **arrays)
    return tmp_path / "data.npz"


def test_digits_are_a_fixed_stratified_split():
    train, test = load_digits_split("train"), load_digits_split("test")
    assert train.x.shape == (1437, 1, 8, 8)
    assert test.x.shape == (360, 1, 8, 8)
    assert test.x.dtype == np.float32
    assert np.array_equal(test.x * 16, np.round(test.x * 16))
    assert (test.x.min(), test.x.max()) == (0, 1)
    assert np.bincount(test.y).min() >= 35
    assert np.array_equal(test.x, load_digits_split("test").x)
    assert not np.array_equal(test.y, load_digits_split("test", split_seed=1).y)
    everything = np.concatenate([train.x, test.x]).sum(axis=0)
    other = [load_digits_split(part, split_seed=3).x for part in ("train", "test")]
    assert np.array_equal(everything, np.concatenate(other).sum(axis=0))


def test_registry(tmp_path):
    assert load_dataset("digits").name == "digits/test"
    assert len(load_dataset("digits", "train", samples=7)) == 7
    path = saved(tmp_path, x=IMAGES)
    assert np.array_equal(load_dataset(path, samples=2).x, IMAGES[:2])
    assert np.array_equal(load_dataset(str(path)).x, IMAGES)
    for name in ("unknown", "file.csv", ""):
        with pytest.raises(DataError, match="digits"):
            load_dataset(name)
    with pytest.raises(DataError, match="part"):
        load_dataset("digits", "validation")
    for samples in (0, 361):
        with pytest.raises(DataError, match="1 to 360"):
            load_dataset("digits", samples=samples)


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int8", "int64", "float16", "float32", "float64", ">f4", ">i2"]
)
def test_numbers_of_all_kinds(dtype, tmp_path):
    values = (IMAGES > 0.5).astype(dtype)
    data = load_npz(saved(tmp_path, x=values))
    assert data.x.dtype == np.float32
    assert np.array_equal(data.x, values.astype(np.float32))
    assert data.y is None


def test_labels_and_event_frames(tmp_path):
    frames = np.zeros((4, 6, 2, 3, 3), np.uint8)
    data = load_npz(saved(tmp_path, x=frames, y=np.array([0, 3, 1, 1], np.uint8)))
    assert data.x.shape == frames.shape
    assert data.y.dtype == np.int64
    assert data.num_classes == 4


def test_compressed_files_and_fortran_order(tmp_path):
    np.savez_compressed(tmp_path / "data.npz", x=np.asfortranarray(IMAGES))
    x = load_npz(tmp_path / "data.npz").x
    assert np.array_equal(x, IMAGES)
    assert x.flags.c_contiguous


@pytest.mark.parametrize(
    ("arrays", "found"),
    [
        ({"images": IMAGES}, "'images'"),
        ({"x": IMAGES[0, 0, 0]}, "shape"),
        ({"x": IMAGES[:0]}, "empty"),
        ({"x": IMAGES.astype(complex)}, "complex128"),
        ({"x": np.full((1, 1, 1, 1), "a")}, "dtype str"),
        ({"x": np.full((1, 1, 1, 1), None)}, "dtype object"),
        ({"x": np.zeros((1, 1, 1, 1), "M8[s]")}, "datetime64"),
        ({"x": np.zeros((1, 1, 1, 1), [("a", "f4")])}, "dtype void"),
        ({"x": IMAGES.astype(np.longdouble)}, "float128"),
        ({"x": np.where(IMAGES > 0.5, np.nan, 0)}, "NaN"),
        ({"x": np.where(IMAGES > 0.5, np.inf, 0)}, "NaN or infinite"),
        ({"x": IMAGES.astype(np.float64) * 1e300}, "NaN or infinite"),
        ({"x": IMAGES, "y": np.zeros(4, int)}, r"\(5,\), a label for each"),
        ({"x": IMAGES, "y": np.zeros((5, 3), int)}, "not a single 1 in each row"),
        ({"x": IMAGES, "y": np.full(5, 0.5)}, "fractions"),
        ({"x": IMAGES, "y": np.zeros(5, bool)}, "bool"),
        ({"x": IMAGES, "y": np.array([0, 1, -1, 0, 0])}, "labels -1 to 1"),
        ({"x": IMAGES, "y": np.full(5, 2**63, np.uint64)}, "labels"),
    ],
)
def test_arrays_that_are_wrong(arrays, found, tmp_path):
    with pytest.raises(DataError, match=found):
        load_npz(saved(tmp_path, **arrays))


def header_only(path, shape):
    """A file whose header promises an array that is not there."""
    member = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(member, header)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", member.getvalue())
    return path


def test_sizes_are_checked_before_data_is_read(tmp_path):
    with pytest.raises(DataError, match=f"at most {limits().data_values}"):
        load_npz(header_only(tmp_path / "huge.npz", (2**20, 2**10, 2**10, 2**10)))
    with pytest.raises(DataError, match="damaged"):
        load_npz(header_only(tmp_path / "short.npz", (2, 1, 8, 8)))


def test_headers_for_very_long_descriptions_are_refused(tmp_path):
    member = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (1, 1, 1, 1)}
    np.lib.format.write_array_header_2_0(member, header)
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("x.npy", member.getvalue() + b"\0")
    with pytest.raises(DataError, match="npy format"):
        load_npz(tmp_path / "data.npz")


def test_pickled_objects_are_not_read(tmp_path):
    path = saved(tmp_path, x=IMAGES, y=np.array([{}, {}, {}, {}, {}], object))
    with pytest.raises(DataError, match="object"):
        load_npz(path)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        load_npz(tmp_path / "missing.npz")
    with pytest.raises(DataError, match="directory"):
        load_npz(tmp_path)
    whole = saved(tmp_path, x=IMAGES).read_bytes()
    broken = tmp_path / "broken.npz"
    for length in range(0, len(whole), 13):
        broken.write_bytes(whole[:length])
        with pytest.raises(DataError):
            load_npz(broken)


@pytest.mark.parametrize(
    ("x", "y", "classes"),
    [
        (IMAGES.astype(complex), None, 0),
        (IMAGES[0, 0, 0], None, 0),
        (IMAGES.astype(np.int64) + 2**24 + 1, None, 0),
        ([[[[1.0]]], [[1.0]]], None, 0),
        (IMAGES, np.zeros((5, 3)), 3),
        (IMAGES, np.full(5, 0.5), 1),
        (IMAGES, np.full(5, np.nan), 1),
        (IMAGES, np.zeros(5, bool), 1),
        (IMAGES, np.zeros(4, np.int64), 1),
        (IMAGES, np.ones(5, np.int64), 1),
        (IMAGES, -np.ones(5, np.int64), 1),
    ],
)
def test_a_dataset_checks_itself(x, y, classes):
    with pytest.raises(DataError):
        Dataset("test", x, y, classes)


@pytest.mark.parametrize(
    "y",
    [
        np.array([0, 2, 1, 2, 0], np.int32),
        np.array([0, 2, 1, 2, 0], np.float64),
        np.array([[0], [2], [1], [2], [0]], np.uint8),
        np.eye(3, dtype=bool)[[0, 2, 1, 2, 0]],
        np.eye(3)[[0, 2, 1, 2, 0]],
        [0, 2, 1, 2, 0],
    ],
)
def test_labels_whose_meaning_is_clear(y):
    data = Dataset("test", IMAGES.astype(np.float64), y)
    assert data.x.dtype == np.float32 and np.array_equal(data.x, IMAGES)
    assert data.y.dtype == np.int64 and data.y.tolist() == [0, 2, 1, 2, 0]
    assert data.num_classes == 3


def test_tensors_with_gradients_and_of_any_float_type():
    import torch

    x = torch.tensor(IMAGES, requires_grad=True)
    labels = torch.tensor([0, 2, 1, 2, 0])
    assert np.array_equal(Dataset("test", x * 1, labels, 4).x, IMAGES)
    halves = torch.ones(2, 1, 3, 3, dtype=torch.bfloat16)
    assert np.array_equal(Dataset("test", halves, None).x, np.ones((2, 1, 3, 3), np.float32))


def test_configuration_and_data_do_not_import_torch():
    program = (
        "import sys, sdt_lava.families.sdt1.config, sdt_lava.families.sdt1.presets;"
        "import sdt_lava.datasets;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("twice", ["x.npy", "y.npy", "x", "other.npy"])
def test_two_members_of_one_name(tmp_path, twice):
    """Readers differ in which of them they take: NumPy the last, others the first."""
    path = tmp_path / "d.npz"
    np.savez(path, x=np.zeros((2, 1, 4, 4)), y=np.zeros(2, int), other=np.zeros(1))
    with zipfile.ZipFile(path) as archive:
        content = archive.read(twice if twice.endswith(".npy") else f"{twice}.npy")
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(twice, content)
    with pytest.raises(DataError, match="used twice"):
        load_npz(path)
