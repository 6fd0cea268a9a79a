"""Files of others: what nobody reads refuses nothing; what is missing is taken from the rest."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import sdt_lava
from sdt_lava import cli
from sdt_lava.errors import NetworkFileError
from sdt_lava.io.netx import load_network, save_network
from tests.graphs import assert_same_graph, random_sdt_graph
from tests.io.netx.damage import both, drop, edit, put

INPUT, STEPS = (2, 5, 4), 7
KINDS = ("input", "conv", "flatten", "dense", "dense")
SHAPES = (INPUT, (4, 5, 3), (60, 1, 1), (5,), (3,))
WEIGHTS = {1: (4, 2, 3, 2), 3: (5, 60), 4: (3, 5)}
WINDOWS = {"padding": [1, 0], "stride": [1, 1], "dilation": [1, 1], "kernelSize": [3, 2]}


def add_neurons(group):
    for name, value in {"iDecay": 3000, "vDecay": 500, "vThMant": 60, "refDelay": 1}.items():
        group[f"neuron/{name}"] = value
    group["neuron/type"] = np.array([b"CUBA"])


def write(path, *changes):
    """Write input, conv, flatten and two dense layers as SLAYER does, then change the file."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for index, (layer_type, shape) in enumerate(zip(KINDS, SHAPES, strict=True)):
            group = file.create_group(f"layer/{index}")
            group.create_dataset("type", (1,), "S10", [layer_type.encode()])
            group["shape"] = shape
        for index, shape in WEIGHTS.items():
            group = file[f"layer/{index}"]
            group["weight"] = 2.0 * rng.integers(-20, 30, shape).astype(np.float32)
            group["bias"] = np.arange(shape[0], dtype=np.float32)
            add_neurons(group)
            if index > 1:
                group["outFeatures"], group["inFeatures"] = shape
        conv = {**WINDOWS, "groups": 1, "inChannels": 2, "outChannels": 4}
        for name, value in conv.items():
            file[f"layer/1/{name}"] = value
        file["simulation/tSample"], file["simulation/Ts"] = STEPS, 1
        for change in changes:
            change(file)
    return path


def frames(shape=INPUT, samples=3):
    return np.random.default_rng(5).integers(0, 2, (samples, STEPS, *shape))


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    net = load_network(write(tmp_path_factory.mktemp("net") / "n.net"))
    assert "notes" not in net.metadata
    result = sdt_lava.simulate(net, frames(), "reference")
    assert all(spikes.any() for spikes in result.spikes.values())
    return result


def assert_same(net, expected, x=None):
    result = sdt_lava.simulate(net, frames() if x is None else x, "reference")
    assert list(result.spikes) == list(expected.spikes)
    for name, spikes in expected.spikes.items():
        assert np.array_equal(result.spikes[name], spikes), name


# A member that nobody reads, and what the note about it says.
NOTED = {
    "theta": (put("layer/3/neuron/theta", 1600), "theta says 1600, vThMant 60, which is 3840"),
    "theta by channel": (put("layer/3/neuron/theta", np.arange(5) * 64), "theta says"),
    "theta that is no number": (put("layer/3/neuron/theta", "high"), "not a whole number"),
    "theta with a fraction": (put("layer/3/neuron/theta", 0.5), "not a whole number"),
    "kernel as a number": (put("layer/1/kernelSize", 3), "kernelSize says 3, the weights (3, 2)"),
    "other kernel": (put("layer/1/kernelSize", [7, 7]), "kernelSize says 7, the weights (3, 2)"),
    "inputs": (put("layer/3/inFeatures", 61), "inFeatures says 61, the weights 60"),
    "outputs": (put("layer/4/outFeatures", [4.0]), "outFeatures says 4, the weights 3"),
    "channels": (put("layer/1/inChannels", 3), "inChannels says 3, the weights 2"),
    "refractory": (put("layer/1/neuron/refDelay", 5), "refDelay not used"),
    "exponent": (put("layer/1/neuron/wgtExp", 2), "wgtExp not used"),
    "unknown neuron member": (put("layer/1/neuron/mood", "good"), "member not used: mood"),
    "unknown members": (
        both(put("layer/1/a", 1), lambda f: f.create_group("layer/1/b")),
        "members not used: a, b",
    ),
    "recurrent weights elsewhere": (put("layer/3/weight_rec", np.ones((5, 5))), "weight_rec"),
    "delays of a flatten": (put("layer/2/delay", [1, 2]), "delay"),
    "group at the root": (lambda f: f.create_group("history"), "history"),
    "dataset at the root": (put("author", "me"), "author"),
    "a link at the root": (lambda f: f.__setitem__("x", h5py.ExternalLink("o.h5", "/")), "x"),
    "name that a terminal obeys": (put("a\x1b[2J", 1), "a\\x1b[2J"),
    "sides in another order": (put("layer/1/shape", [3, 5, 4]), "shape says (3, 5, 4)"),
}


@pytest.mark.parametrize("name", NOTED)
def test_what_nobody_reads_is_noted(tmp_path, expected, name):
    change, words = NOTED[name]
    net = load_network(write(tmp_path / "n.net", change))
    assert_same(net, expected)
    assert any(words in note for note in net.metadata["notes"]), net.metadata
    assert all(note.isprintable() and str(tmp_path) not in note for note in net.metadata["notes"])
    save_network(net, tmp_path / "ours.h5")
    assert_same_graph(load_network(tmp_path / "ours.h5"), net)


def text(*words):
    return np.array(words, h5py.string_dtype())


# The same file, written in another way.
SAME = {
    "attributes": lambda f: (f.attrs.create("author", "x"), f["layer/1"].attrs.create("y", 1)),
    "theta that agrees": put("layer/3/neuron/theta", 3840.0),
    "message bits": put("layer/1/neuron/messageBits", 40),
    "batch axes": both(put("layer/0/shape", [1, *INPUT]), put("layer/1/shape", [1, 4, 5, 3])),
    "shapes in rows": both(put("layer/0/shape", [INPUT]), put("layer/3/shape", [[5]])),
    "flat shapes": both(put("layer/3/shape", 5), put("layer/2/shape", 60)),
    "numbers": both(put("layer/1/stride", 1), put("layer/1/dilation", [[1]])),
    "time axes": both(put("layer/1/stride", [1, 1, 1]), put("layer/1/padding", [1, 0, 0])),
    "float64": both(*(edit(f"layer/{i}/weight", np.float64) for i in (1, 3, 4))),
    "big-endian": edit("layer/1/weight", lambda w: w.astype(">f4")),
    "half": edit("layer/1/weight", np.float16),
    "int8": edit("layer/1/weight", np.int8),
    "time axis of weights": edit("layer/1/weight", lambda w: w[..., None]),
    "dense kernels": edit("layer/3/weight", lambda w: w[:, :, None, None, None]),
    "rows one after another": edit("layer/3/weight", np.ravel),
    "rows without a shape": both(edit("layer/3/weight", np.ravel), drop("layer/3/shape")),
    "bias as an image": edit("layer/3/bias", lambda b: b[None, None]),
    "columns of biases": edit("layer/1/bias", lambda b: b[:, None, None].astype(int)),
    "equal decays": put("layer/1/neuron/iDecay", np.full(4, 3000.0)),
    "decays of each neuron": put("layer/1/neuron/vDecay", np.full((4, 5, 3), 500)),
    "numbers in arrays": put("layer/3/neuron/vThMant", [[[60]]]),
    "text": both(put("layer/1/type", "conv"), put("layer/3/neuron/type", text("CUBA"))),
    "text in rows": both(put("layer/3/type", text(["dense"])), put("layer/4/type", text("dense"))),
    "old name": put("layer/3/neuron/type", np.bytes_(b"LOIHI")),
    "only theta": both(drop("layer/3/neuron/vThMant"), put("layer/3/neuron/theta", 3840)),
    "no shapes": both(*(drop(f"layer/{index}/shape") for index in (2, 3, 4))),
    "no flatten shape": drop("layer/2/shape"),
    "no usual windows": both(drop("layer/1/stride"), drop("layer/1/dilation")),
    "no groups": drop("layer/1/groups"),
    "no sizes": both(drop("layer/1/kernelSize"), drop("layer/3/inFeatures")),
    "no input layer": lambda f: without_input(f),
    "an input layer without a shape": drop("layer/0/shape"),
    "steps in an attribute": both(
        drop("simulation"), lambda f: f.attrs.create("tSample", np.int32(STEPS))
    ),
    "steps by name": both(drop("simulation"), lambda f: f.attrs.create("timesteps", float(STEPS))),
    "attributes of the simulation": lambda f: (
        f.__delitem__("simulation"),
        f.create_group("simulation").attrs.update(tSample=2 * STEPS, Ts=2),
    ),
}


def without_input(file):
    del file["layer/0"]
    for index in range(1, 5):
        file.move(f"layer/{index}", f"layer/{index - 1}")


@pytest.mark.parametrize("name", SAME)
def test_the_same_file_written_in_another_way(tmp_path, expected, name):
    net = load_network(write(tmp_path / "n.net", SAME[name]))
    assert (net.input_shape, net.timesteps) == (INPUT, STEPS)
    result = sdt_lava.simulate(net, frames(), "reference")
    for found, spikes in zip(result.spikes.values(), expected.spikes.values(), strict=True):
        assert np.array_equal(found, spikes)


# Members that are read contradict one another: the error names both.
CONTRADICTIONS = {
    "neurons": (put("layer/3/shape", [6]), ["(5, 60)", "6 neurons"]),
    "output": (put("layer/1/shape", [4, 9, 9]), ["(4, 9, 9)", "(4, 5, 3)"]),
    "dense input": (edit("layer/3/weight", lambda w: w[:, 1:]), ["59", "60"]),
    "missing stride that is not the usual": (
        both(drop("layer/1/stride"), put("layer/1/shape", [4, 3, 2])),
        ["(4, 3, 2)", "(4, 5, 3)"],
    ),
    "delays": (put("layer/3/delay", np.ones(7)), ["7 delays", "5 output channels"]),
    "theta between thresholds": (
        both(drop("layer/3/neuron/vThMant"), put("layer/3/neuron/theta", 3841)),
        ["3841", "multiple of 64"],
    ),
    "no threshold": (drop("layer/3/neuron/vThMant"), ["vThMant", "theta"]),
    "one weight": (put("layer/3/weight", 2), ["layer/3/weight: shape ()", "(5, inputs)"]),
    "one weight without shape": (
        both(drop("layer/3/shape"), put("layer/3/weight", 2)),
        ["layer/3/weight: shape ()"],
    ),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradictions_of_what_is_read(tmp_path, name):
    change, words = CONTRADICTIONS[name]
    with pytest.raises(NetworkFileError) as caught:
        load_network(write(tmp_path / "n.net", change))
    assert all(word in str(caught.value) for word in words), caught.value


def strided(file):
    without_input(file)
    put("layer/0/stride", [2, 1])(file)
    put("layer/0/shape", [4, 3, 3])(file)
    put("layer/2/weight", np.ones((5, 36)))(file)


def test_an_input_that_the_output_of_a_convolution_leaves_open(tmp_path):
    path = write(tmp_path / "n.net", strided)
    with pytest.raises(NetworkFileError, match=r"\(2, 5 to 6, 4\).*--input-shape 2,6,4"):
        load_network(path)
    for height in (5, 6):
        assert load_network(path, input_shape=(2, height, 4)).shapes["layer.0"] == (4, 3, 3)
    with pytest.raises(NetworkFileError, match="--input-shape"):
        load_network(path, input_shape=(2, 9, 4))


def test_an_input_that_a_stride_of_billions_leaves_open(tmp_path):
    def change(file):
        strided(file)
        put("layer/0/stride", 2**31 - 1)(file)

    path = write(tmp_path / "n.net", change)
    with pytest.raises(NetworkFileError, match=r"\(2, 4294967295 to 6442450941, "):
        load_network(path)


def test_what_the_user_says_beside_the_file(tmp_path):
    path = write(tmp_path / "n.net", without_input)
    assert load_network(path, input_shape=INPUT).input_shape == INPUT
    with pytest.raises(NetworkFileError, match=r"\(2, 5, 4\), where the argument .* \(2, 9, 4\)"):
        load_network(path, input_shape=(2, 9, 4))


def test_another_input_shape_is_no_remedy_for_a_decay(tmp_path):
    path = write(tmp_path / "n.net", without_input, put("layer/2/neuron/vDecay", -5))
    with pytest.raises(NetworkFileError, match="voltage_decay: -5") as caught:
        load_network(path, input_shape=INPUT)
    assert not caught.value.remedy


def test_there_are_not_too_many_notes(tmp_path):
    def change(file):
        for index in range(3, 150):
            file.copy("layer/2", f"layer/x{index}")
        for index in range(149, 2, -1):
            if index < 5:
                file.move(f"layer/{index}", f"layer/{index + 147}")
            file.move(f"layer/x{index}", f"layer/{index}")
        for index in range(3, 150):
            put(f"layer/{index}/more", 1)(file)

    notes = load_network(write(tmp_path / "n.net", change)).metadata["notes"]
    assert len(notes) == 101 and notes[-1] == "there is more of this kind"


# Some of the layers, as stock netx takes them.


CHOICES = [
    (None, 0, [1, 3, 4], INPUT),
    (99, -3, [1, 3, 4], INPUT),
    (4, 0, [1, 3], INPUT),
    (3, 0, [1], INPUT),
    (2, 0, [1], INPUT),
    (None, 1, [1, 3, 4], INPUT),
    (None, 2, [3, 4], (4, 5, 3)),
    (None, 3, [3, 4], (60,)),
    (4, 3, [3], (60,)),
    (None, 4, [4], (5,)),
]


@pytest.mark.parametrize(("num_layers", "skip_layers", "names", "shape"), CHOICES)
def test_choice_of_layers(tmp_path, expected, num_layers, skip_layers, names, shape):
    path = write(tmp_path / "n.net")
    net = load_network(path, num_layers=num_layers, skip_layers=skip_layers)
    assert list(net.lif_names) == [f"layer.{index}" for index in names]
    assert (net.input_shape, net.timesteps) == (shape, STEPS)
    x = frames()
    if names[0] > 1:
        before = expected.spikes["layer.1" if names[0] == 3 else "layer.3"]
        x = np.swapaxes(before, 0, 1).reshape(len(x), STEPS, *shape)
    result = sdt_lava.simulate(net, x, "reference")
    for name in net.lif_names:
        assert np.array_equal(result.spikes[name], expected.spikes[name]), name


@pytest.mark.lava
@pytest.mark.parametrize(("num_layers", "skip_layers", "names", "shape"), CHOICES)
def test_stock_netx_takes_as_many_layers(tmp_path, num_layers, skip_layers, names, shape):
    from lava.lib.dl.netx import hdf5

    stock = hdf5.Network(
        str(write(tmp_path / "n.net")),
        num_layers=num_layers,
        skip_layers=skip_layers,
        input_shape=INPUT[::-1],
    )
    assert len(stock) == len(names)
    stock.net_config.f.close()


# Choices that leave nothing.
NOTHING = [(0, 0), (-1, 0), (None, 5), (3, 3)]


@pytest.mark.lava
@pytest.mark.parametrize(("num_layers", "skip_layers"), NOTHING)
def test_stock_netx_stops_where_nothing_is_left(tmp_path, num_layers, skip_layers):
    from lava.lib.dl.netx import hdf5

    path = str(write(tmp_path / "n.net"))
    with pytest.raises(IndexError):
        hdf5.Network(path, num_layers=num_layers, skip_layers=skip_layers)


@pytest.mark.parametrize(("num_layers", "skip_layers"), NOTHING)
def test_choices_that_leave_nothing(tmp_path, num_layers, skip_layers):
    path = write(tmp_path / "n.net")
    with pytest.raises(NetworkFileError, match="no layer is left of 5"):
        load_network(path, num_layers=num_layers, skip_layers=skip_layers)


def test_choice_of_layers_of_our_own_files(tmp_path, expected):
    save_network(load_network(write(tmp_path / "n.net")), tmp_path / "ours.h5")
    net = load_network(tmp_path / "ours.h5", num_layers=4)
    assert net.lif_names == ("layer.1", "layer.3")
    net = load_network(tmp_path / "ours.h5", skip_layers=3)
    x = np.swapaxes(expected.spikes["layer.1"], 0, 1).reshape(3, STEPS, 60)
    found = sdt_lava.simulate(net, x).spikes["layer.4"]
    assert np.array_equal(found, expected.spikes["layer.4"])
    save_network(random_sdt_graph(np.random.default_rng(0)), tmp_path / "extended.h5")
    with pytest.raises(NetworkFileError, match="--num-layers"):
        load_network(tmp_path / "extended.h5", num_layers=3)


# Remedies that name a command: it is run.


def kind(index, name):
    return put(f"layer/{index}/type", np.array([name]))


REMEDIES = {
    "unknown type": kind(4, b"attention"),
    "concat": kind(3, b"concat"),
    "transposed": kind(4, b"convT"),
    "resonators": put("layer/4/neuron/type", "RF"),
    "end without spikes": put("layer/3/neuron/vThMant", 2**18 - 1),
    "open input": strided,
}


@pytest.mark.parametrize("name", REMEDIES)
def test_proposed_commands(tmp_path, monkeypatch, capsys, name):
    path = write(tmp_path / "n.net", REMEDIES[name])

    def info(*options):
        monkeypatch.setattr(sys, "argv", ["sdt-lava", "info", str(path), *options])
        with pytest.raises(SystemExit) as ending:
            cli.main()
        return ending.value.code or 0, " ".join("".join(capsys.readouterr()).split())

    code, output = info()
    assert code == 2
    proposed = re.search(r"\(commands: (--[a-z-]+ [\d,]+)\)", output)
    assert proposed, output
    code, output = info(*shlex.split(proposed[1]))
    assert code == 0, output


def test_info_prints_notes(tmp_path, monkeypatch, capsys):
    path = write(tmp_path / "n.net", put("layer/3/neuron/theta", 1600))
    monkeypatch.setattr(sys, "argv", ["sdt-lava", "info", str(path)])
    with pytest.raises(SystemExit):
        cli.main()
    output = " ".join(capsys.readouterr().out.split())
    assert "note: layer/3/neuron: theta says 1600" in output and "vThMant is used" in output


def test_the_case_of_a_file_is_not_changed(tmp_path):
    """Reading writes nothing."""
    path = Path(write(tmp_path / "n.net"))
    before = path.read_bytes()
    load_network(path)
    assert path.read_bytes() == before
