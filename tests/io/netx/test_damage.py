"""Files that are damaged, unsupported or hostile: one typed error, and nothing else."""

import gzip
import os

import h5py
import numpy as np
import pytest

from sdt_lava.errors import NetworkFileError
from sdt_lava.io.limits import allowing
from sdt_lava.io.netx import load_network, save_network
from sdt_lava.ir import Graph
from tests.io.netx.damage import (
    apply,
    both,
    chain,
    drop,
    edit,
    external,
    huge,
    inflating,
    link,
    put,
    transformer,
    twice_compressed,
    virtual,
)


def index_of(graph, name):
    return graph.order.index(name)


CONV0 = "layer/1"  # the first synapse in both layouts
LIF0 = f"layer/{index_of(transformer(), 'patch.lif0')}"
FC1 = f"layer/{index_of(transformer(), 'block.0.mlp.fc1_conv')}"  # one exponent, 8 channels
SHORTCUT = f"layer/{index_of(transformer(), 'patch.shortcut')}"


@pytest.fixture()
def stock(tmp_path):
    save_network(chain(), tmp_path / "stock.h5")
    return tmp_path / "stock.h5"


@pytest.fixture()
def extended(tmp_path):
    save_network(transformer(), tmp_path / "extended.h5")
    return tmp_path / "extended.h5"


def cycle(file):
    file[SHORTCUT].attrs["inputs"] = np.array([1, int(SHORTCUT.split("/")[1])])


WEIGHT = f"{CONV0}/weight"
EITHER = {
    "no layers": drop("layer"),
    "layers are a dataset": put("layer", 1),
    "layer missing": drop("layer/2"),
    "layer 0 missing": drop("layer/0"),
    "extra layer": lambda file: file.create_group("layer/999"),
    "layer with a strange name": lambda file: file.create_group(
        "layer/a\udcff".encode("utf-8", "surrogateescape")
    ),
    "extra member at the root": lambda file: file.create_group("virus"),
    "extra member of a layer": put(f"{CONV0}/more", 1),
    "too many members": lambda file: [file.create_group(f"{CONV0}/{i}") for i in range(99)],
    "extra attribute": put(f"{CONV0}:more", 1),
    "too many attributes": lambda f: [f[CONV0].attrs.create(f"a{i}", 1) for i in range(99)],
    "unknown type": put("layer/2/type", np.array([b"quantum"])),
    "type of another dtype": put("layer/2/type", 3),
    "two types": put("layer/2/type", np.array([b"lif", b"lif"])),
    "type that is not ASCII": put("layer/2/type", np.array(["ü".encode()])),
    "type missing": drop("layer/2/type"),
    "weight missing": drop(WEIGHT),
    "weight is a group": lambda f: (drop(WEIGHT)(f), f.create_group(WEIGHT)),
    "weight is a type": lambda f: (drop(WEIGHT)(f), f.__setitem__(WEIGHT, np.dtype("i2"))),
    "float weight": edit(WEIGHT, lambda w: w.astype(np.float32)),
    "complex weight": edit(WEIGHT, lambda w: w.astype(np.complex64)),
    "bool weight": edit(WEIGHT, lambda w: w > 0),
    "string weight": put(WEIGHT, "weight"),
    "object weight": put(WEIGHT, ["a", "b"], dtype=h5py.string_dtype()),
    "compound weight": put(WEIGHT, np.zeros(3, [("a", int), ("b", float)])),
    "weight of references": lambda f: (
        drop(WEIGHT)(f),
        f.create_dataset(WEIGHT, data=f["layer/0"].ref, dtype=h5py.ref_dtype),
    ),
    "weight of region references": lambda f: (
        drop(WEIGHT)(f),
        f.create_dataset(WEIGHT, (1,), dtype=h5py.regionref_dtype),
    ),
    "empty weight": put(WEIGHT, h5py.Empty("i2")),
    "weight without rows": edit(WEIGHT, lambda w: w[:0]),
    "flat weight": edit(WEIGHT, lambda w: w.ravel()),
    "weight of other channels": edit(WEIGHT, lambda w: np.concatenate([w, w], axis=1)),
    "large weight": edit(WEIGHT, lambda w: w.astype(int) * 1000),
    "64-bit weight": edit(WEIGHT, lambda w: w.astype(np.uint64) + 2**63),
    "odd mixed weight": edit(WEIGHT, lambda w: np.where(w == w.max(), 201, w // 2 * 2 - 1)),
    "many axes": edit(WEIGHT, lambda w: w.reshape((1,) * 20 + w.shape)),
    "huge weight without data": huge(WEIGHT, (2**20, 2**20, 1, 1)),
    "huge weight in empty chunks": huge(WEIGHT, (2**12, 2**12, 4, 4), chunks=(1, 64, 4, 4)),
    "huge weight overflows 64 bit": huge(WEIGHT, (2**31, 2**30, 1, 1), chunks=(1, 1, 1, 1)),
    "zeros of a bomb": put(WEIGHT, np.zeros((2048, 2048, 1, 1), "i2"), compression="gzip"),
    "weight filled on demand": huge(WEIGHT, (4, 1, 3, 3), fillvalue=2),
    "chunk larger than the array": huge(
        WEIGHT, (4, 1, 3, 3), chunks=(4000, 1, 30, 30), maxshape=(None,) * 4
    ),
    "chunk that inflates": inflating(WEIGHT),
    "compressed twice": twice_compressed(WEIGHT),
    "soft link": link(WEIGHT, h5py.SoftLink("/layer/0/type")),
    "dangling soft link": link(WEIGHT, h5py.SoftLink("/nowhere")),
    "soft link to itself": link(WEIGHT, h5py.SoftLink(f"/{WEIGHT}")),
    "external link": link(WEIGHT, h5py.ExternalLink("other.h5", "/x")),
    "external link of a layer": link("layer/2", h5py.ExternalLink("other.h5", "/x")),
    "soft link of all layers": link("layer", h5py.SoftLink("/")),
    "hard link to the root": lambda f: (drop("layer/2")(f), f["layer"].__setitem__("2", f["/"])),
    "virtual weight": virtual(WEIGHT),
    "weight in an external file": external(WEIGHT),
    "other format": put(":format", "nir"),
    "format is a number": put(":format", 3),
    "newer version": put(":version", 2),
    "older version": put(":version", 0),
    "version is text": put(":version", "one"),
    "two versions": put(":version", [1, 1]),
    "no version": drop(":version"),
    "no time steps": drop(":timesteps"),
    "zero time steps": put(":timesteps", 0),
    "endless time steps": put(":timesteps", 2**40),
    "fractional time steps": put(":timesteps", 2.5),
    "no metadata": drop(":metadata"),
    "metadata is no JSON": put(":metadata", "{"),
    "metadata is a list": put(":metadata", "[1]"),
    "metadata is NaN": put(":metadata", '{"a": NaN}'),
    "metadata is deep": put(":metadata", np.bytes_(b"[" * 60_000)),
    "metadata is not UTF-8": put(":metadata", np.bytes_(b'{"a": "\xff"}')),
    "metadata of many strings": put(":metadata", ["{}", "{}"]),
    "metadata is a reference": lambda f: f.attrs.create("metadata", f.ref, dtype=h5py.ref_dtype),
    "name missing": drop(f"{CONV0}:name"),
    "name used twice": put(f"{CONV0}:name", "input"),
    "name is a number": put(f"{CONV0}:name", 5),
    "another filter": put(WEIGHT, np.ones((4, 1, 3, 3), "i2"), compression="lzf"),
    "long name": put(f"{CONV0}:name", "x" * 5000),
    "name that a terminal obeys": put(f"{CONV0}:name", "a\x1b[2J"),
    "half a character in metadata": put(":metadata", '{"a": "\\ud800"}'),
    "many inputs of a scale": put("layer/0:scale", np.ones(100)),
    "infinite scale": put("layer/0:scale", np.inf),
    "zero scale": put("layer/0:scale", 0.0),
    "low above high": put("layer/0:low", 1000),
}

STOCK = {
    "no neuron": drop(f"{CONV0}/neuron"),
    "neuron is a dataset": put(f"{CONV0}/neuron", 1),
    "threshold out of range": put(f"{CONV0}/neuron/vThMant", 2**18 - 1),
    "negative threshold": put(f"{CONV0}/neuron/vThMant", -1),
    "thresholds of other size": put(f"{CONV0}/neuron/vThMant", np.ones(3, int)),
    "thresholds by position": put(f"{CONV0}/neuron/vThMant", np.ones((4, 2), int)),
    "no thresholds": put(f"{CONV0}/neuron/vThMant", np.ones(0, int)),
    "decay out of range": put(f"{CONV0}/neuron/vDecay", 4097),
    "refractory delay": put(f"{CONV0}/neuron/refDelay", 2),
    "graded spikes": put(f"{CONV0}/neuron/gradedSpike", True),
    "bias out of range": edit(f"{CONV0}/bias", lambda b: b * 0 + 5000),
    "bias of other size": edit(f"{CONV0}/bias", lambda b: b[:-1]),
    "negative side": put("layer/0/shape", [2, -6, 5]),
    "enormous side": put("layer/0/shape", [2, 2**31 - 1, 5]),
    "image without sides": put("layer/0/shape", np.zeros(0, int)),
    "two inputs": put(f"{CONV0}/type", np.array([b"input"])),
    "no input": put("layer/0/type", np.array([b"flatten"])),
    "wrong output shape": put(f"{CONV0}/shape", [3, 3, 3]),
    "wrong channels": put(f"{CONV0}/inChannels", 5),
    "wrong kernel": put(f"{CONV0}/kernelSize", [5, 5]),
    "zero stride": put(f"{CONV0}/stride", [0, 1]),
    "three strides": put(f"{CONV0}/stride", [1, 1, 1]),
    "negative padding": put(f"{CONV0}/padding", [-1, 0]),
    "zero groups": put(f"{CONV0}/groups", 0),
    "delays of other size": put(f"{CONV0}/delay", [0, 1, 2]),
    "negative delay": put(f"{CONV0}/delay", [0, 1, 2, -3]),
    "enormous delay": put(f"{CONV0}/delay", [0, 1, 2, 1025]),
    "delays of synapses": put(f"{CONV0}/delay", np.ones((4, 2), int)),
    "recurrent convolution": put(f"{CONV0}/weight_rec", np.ones((4, 4), int)),
    "image weight without neurons": put("layer/0/weight", 3),
}

EXTENDED = {
    "stock type": put(f"{CONV0}/type", np.array([b"conv"])),
    "forward reference": put(f"{CONV0}:inputs", [5]),
    "reads itself": put(f"{CONV0}:inputs", [1]),
    "cycle": cycle,
    "negative reference": put(f"{CONV0}:inputs", [-1]),
    "too many inputs": put(f"{CONV0}:inputs", [0, 0]),
    "no inputs": drop(f"{CONV0}:inputs"),
    "fractional inputs": put(f"{CONV0}:inputs", [0.0]),
    "inputs in rows": put(f"{CONV0}:inputs", [[0]]),
    "wrong kind of signal": put(f"{LIF0}:inputs", [0]),
    "threshold out of range": put(f"{LIF0}:threshold", 2**17),
    "threshold missing": drop(f"{LIF0}:threshold"),
    "fractional threshold": put(f"{LIF0}:threshold", 1.5),
    "two thresholds": put(f"{LIF0}:threshold", [1, 2]),
    "threshold of 128 bits": put(f"{LIF0}:threshold", np.longdouble(3)),
    "bias out of range": edit(f"{LIF0}/bias", lambda b: b * 0 + 5000),
    "float bias": edit(f"{LIF0}/bias", lambda b: b.astype(float)),
    "single stride": put(f"{CONV0}:stride", 1),
    "enormous padding": put(f"{CONV0}:padding", [2**14, 2**14]),
    "negative side": put("layer/0:shape", [2, -6, 5]),
    "enormous image": put("layer/0:shape", [1, 2**20, 2**20]),
    "image with many axes": put("layer/0:shape", np.ones(9, int)),
    "no exponent": drop(f"{FC1}:exponent"),
    "exponent twice": put(f"{FC1}/exponent", np.zeros(8, "i1")),
    "exponent out of range": put(f"{FC1}:exponent", 8),
    **{
        f"{name} exponents": both(drop(f"{FC1}:exponent"), put(f"{FC1}/exponent", values))
        for name, values in {
            "float": np.zeros(8),
            "too small": np.array([0, -9, 0, 0, 0, 0, 0, 0]),
            "too large": np.array([0, 8, 0, 0, 0, 0, 0, 0]),
            "too few": np.array([0, 1, 0]),
            "no": np.zeros(0, int),
            "two rows of": np.zeros((2, 8), int),
            "scalar": np.int8(1),
        }.items()
    },
}


def assert_refused(path, **options):
    with pytest.raises(NetworkFileError) as caught:
        load_network(path, **options)
    error = caught.value
    assert str(path) in error.where and error.found and len(str(error)) < 2000
    str(error).encode()
    return error


def test_file_is_closed(extended):
    apply(EITHER["odd mixed weight"], extended)
    descriptors = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        assert_refused(extended)
    assert len(os.listdir("/proc/self/fd")) == descriptors
    with h5py.File(extended, "r+"):
        pass


@pytest.mark.parametrize("name", EITHER)
def test_damage_to_extended(extended, name):
    apply(EITHER[name], extended)
    assert_refused(extended)


@pytest.mark.parametrize("name", EITHER)
def test_damage_to_stock(stock, name):
    apply(EITHER[name], stock)
    assert_refused(stock)


@pytest.mark.parametrize("name", STOCK)
def test_damage_to_stock_only(stock, name):
    apply(STOCK[name], stock)
    assert_refused(stock)


@pytest.mark.parametrize("name", EXTENDED)
def test_damage_to_extended_only(extended, name):
    apply(EXTENDED[name], extended)
    assert_refused(extended)


def foreign(path):
    """Turn our stock file into one that looks like SLAYER's."""
    with h5py.File(path, "r+") as file:
        for key in list(file.attrs):
            del file.attrs[key]
        for group in file["layer"].values():
            for key in list(group.attrs):
                del group.attrs[key]
            for key in {"weight", "bias"} & set(group):
                put(key, group[key][()].astype(np.float32))(group)
    return path


def test_foreign_file(stock):
    graph = chain()
    expected = [node.weight for node in graph if hasattr(node, "weight")]
    loaded = load_network(foreign(stock))
    found = [node.weight for node in loaded if hasattr(node, "weight")]
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))
    assert isinstance(loaded, Graph) and loaded.metadata == {}


def image_neurons(**members):
    """Give the input layer neurons like those of the first convolution."""

    def change(file):
        file.copy("layer/1/neuron", "layer/0/neuron")
        for key, value in members.items():
            put(f"layer/0/{key}", value)(file)

    return change


def pool_with_many_kernels(file):
    put("layer/1/type", np.array([b"pool"]))(file)
    for name in ("inChannels", "outChannels", "groups", "bias"):
        file["layer/1"].pop(name)


FOREIGN = {
    **{
        kind: (put("layer/1/type", np.array([kind.encode()])), kind)
        for kind in ("convT", "unpool", "concat", "dense_comp")
    },
    **{
        kind: (put("layer/1/neuron/type", kind), kind)
        for kind in ("RF", "RF_PHASE", "RF_IZ", "ALIF", "strange")
    },
    "unknown": (put("layer/1/type", np.array([b"perceptron"])), "perceptron"),
    "extended type": (put("layer/0/type", np.array([b"input_sdt"])), "extended"),
    "neuron in the input": (lambda f: f.create_group("layer/0/neuron"), "'type'"),
    "fractional delay": (put("layer/1/delay", np.full(4, 0.5)), "fractions"),
    "delays of inputs": (put("layer/3/delay", np.ones(7)), "7 delays for 4 output channels"),
    "recurrent without weights": (put("layer/3/type", np.array([b"dense_rec"])), "weight_rec"),
    "pool with many kernels": (pool_with_many_kernels, "one kernel"),
    "fractional weight exponent": (put("layer/1/neuron/weight_exp", [0.5]), "fractions"),
    "graded": (put("layer/1/neuron/gradedSpike", True), "graded"),
    "no neurons": (drop("layer/1/neuron"), "neuron"),
    "zero image weight": (image_neurons(weight=0), "every input looks the same"),
    "fractional image bias": (image_neurons(bias=0.5), "fractions"),
    "complex": (
        lambda f: (drop(WEIGHT)(f), put(f"{WEIGHT}/real", [2.0])(f)),
        "dataset",
    ),
    "fractions": (edit(WEIGHT, lambda w: w + 0.5), "fractions"),
    "nan": (edit(WEIGHT, lambda w: w * np.nan), "NaN"),
    "infinity": (edit(WEIGHT, lambda w: w + np.inf), "infinity"),
    "large": (edit(WEIGHT, lambda w: w * 1e30), "32 bits"),
    "nine bits": (edit(WEIGHT, lambda w: np.where(w == w.min(), -257, w)), "-256 to 255"),
    "affine": (put("layer/1/neuron/vThMant", 262143), "get no spikes"),
    "uneven samples": (put("simulation/tSample", 7), "whole number"),
    "fractional bias": (edit("layer/1/bias", lambda b: b + 0.25), "fractions"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files_that_are_not_supported(stock, name):
    damage, word = FOREIGN[name]
    with h5py.File(foreign(stock), "r+") as file:
        file["simulation/Ts"] = 2
    apply(damage, stock)
    assert word in str(assert_refused(stock))


def test_foreign_time_steps(stock):
    assert_refused(foreign(stock), timesteps=0)
    assert_refused(stock, input_shape=(2, 5, 6))
    assert load_network(stock, input_shape=(2, 6, 5)).input_shape == (2, 6, 5)
    assert load_network(stock).timesteps == 1
    assert_refused(stock, timesteps="7")
    assert load_network(stock, timesteps=7).timesteps == 7


def test_files_that_are_none(tmp_path, stock):
    for name, content in {
        "empty": b"",
        "text": b"hello",
        "gzip": gzip.compress(b"hello"),
        "signature": b"\x89HDF\r\n\x1a\n",
        "signature and zeros": b"\x89HDF\r\n\x1a\n" + bytes(5000),
        "truncated": stock.read_bytes()[:-100],
        "half": stock.read_bytes()[: os.path.getsize(stock) // 2],
    }.items():
        (tmp_path / name).write_bytes(content)
        assert_refused(tmp_path / name)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("missing", "pipe", ".", "loop", "nul\0", "x" * 300):
        with pytest.raises(NetworkFileError):
            load_network(f"{tmp_path}/{name}")


def test_limits_of_size(extended):
    for limit, value in {"network_bytes": 10, "network_layers": 5, "population": 3}.items():
        with allowing(**{limit: value}):
            error = assert_refused(extended)
            assert str(value) in error.allowed
            assert f"--allow {limit.replace('_', '-')}=" in error.remedy
    assert isinstance(load_network(extended), Graph)


def test_no_other_file_is_opened(tmp_path, extended, monkeypatch):
    """Links and virtual data may name anything; nothing of it is touched."""
    os.mkfifo(tmp_path / "other.h5")  # opening it would block
    for name in ("external link", "external link of a layer", "virtual weight"):
        save_network(transformer(), extended)
        apply(EITHER[name], extended)
        assert_refused(extended)
