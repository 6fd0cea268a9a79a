"""Structures that other programs write, against Euler's method: the same spikes, one by one.

Weights, thresholds and decays are such that nothing has to be rounded.
"""

from __future__ import annotations

from dataclasses import replace

import nir
import numpy as np
import pytest

import sdt_lava
from sdt_lava.errors import NirError
from sdt_lava.ir import Conv, CubaLif, Dense, Lif, Readout
from sdt_lava.nir import NirOptions, from_nir, load_nir
from tests.importers.nir.euler import run_nir

DT = 1e-4
STEPS = 14


def whole(rng, *shape, low=-30, high=45):
    """Multiples of 1/64 that eight bits hold."""
    values = rng.integers(low, high, shape) / 64
    values.flat[0] = 0.5
    return values


def lif(*shape, tau=2 * DT, **values):
    given = {"tau": tau, "r": 2.0, "v_leak": 0.0, "v_threshold": 1.0} | values
    return nir.LIF(**{name: np.broadcast_to(v, shape).copy() for name, v in given.items()})


def cuba(*shape, **values):
    given = {"tau_syn": 2 * DT, "tau_mem": 4 * DT, "r": 4.0, "v_leak": 0.0} | values
    given = {"v_threshold": 1.0, "w_in": 2.0} | given
    return nir.CubaLIF(**{name: np.broadcast_to(v, shape).copy() for name, v in given.items()})


def fire(*shape, r=1.0, threshold=1.0):
    return nir.IF(np.broadcast_to(r, shape).copy(), np.broadcast_to(threshold, shape).copy())


def conv(rng, inputs, outputs, side, **more):
    kernel = more.pop("kernel", (3, 3))
    fields = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1, "bias": np.zeros(outputs)}
    fields |= more
    weight = whole(rng, outputs, inputs // fields["groups"], *kernel)
    return nir.Conv2d((side, side), weight, **fields)


def pool(kind, kernel, stride, padding=(0, 0)):
    return kind(*(np.array(sides) for sides in (kernel, stride, padding)))


def chain(*nodes):
    return nir.NIRGraph.from_list(*nodes, type_check=False)


def source(*shape):
    return nir.Input(np.array(shape))


def vector(*nodes, inputs=6):
    return chain(source(inputs), *nodes)


def graph(edges, **nodes):
    """A graph of nodes and edges 'a b c': each reads the one before it."""
    pairs = [pair for row in edges for pair in zip(row.split()[:-1], row.split()[1:], strict=True)]
    return nir.NIRGraph(nodes, pairs, type_check=False)


def inner_loop(neuron, back, size):
    return graph(
        ["input lif w_rec lif output"],
        input=source(size), lif=neuron, w_rec=back, output=nir.Output(np.array([size])),
    )  # fmt: skip


def ends(inputs, outputs):
    return {"input": source(inputs), "output": nir.Output(np.array([outputs]))}


def loops(rng):
    back, w = whole(rng, 4, 4, low=-40, high=30), whole(rng, 4, 6)
    bias = whole(rng, 4, low=-8, high=9)
    flat = ["input w lif back lif output"]
    wrapped = inner_loop(lif(4), nir.Linear(back), 4)
    twice = graph(
        ["input part output"],
        input=source(4), part=wrapped, output=nir.Output(np.array([4])),
    )  # fmt: skip
    yield "current", graph(flat, **ends(6, 4), w=nir.Linear(w), lif=cuba(4), back=nir.Linear(back))
    yield "membrane", graph(flat, **ends(6, 4), w=nir.Linear(w), lif=lif(4), back=nir.Linear(back))
    yield (
        "integrator",
        graph(flat, **ends(6, 4), w=nir.Linear(w), lif=fire(4), back=nir.Linear(back)),
    )
    yield (
        "biased",
        graph(flat, **ends(6, 4), w=nir.Linear(w), lif=lif(4), back=nir.Affine(back, bias)),
    )
    yield (
        "biased before a current",
        graph(flat, **ends(6, 4), w=nir.Affine(w, bias), lif=cuba(4), back=nir.Affine(back, bias)),
    )
    yield "of two matrices", graph(
        ["input w lif one two lif output"], **ends(6, 4), w=nir.Linear(w), lif=lif(4),
        one=nir.Linear(np.eye(4)[::-1].copy()), two=nir.Linear(back),
    )  # fmt: skip
    yield (
        "to itself",
        graph(["input w lif output", "lif lif"], **ends(6, 4), w=nir.Linear(w), lif=lif(4)),
    )
    yield "inside", graph(
        ["input w part end last output"], **ends(6, 3), w=nir.Linear(w),
        part=inner_loop(cuba(4), nir.Linear(back), 4), end=nir.Linear(whole(rng, 3, 4)),
        last=lif(3),
    )  # fmt: skip
    yield (
        "inside of inside",
        graph(["input w part output"], **ends(6, 4), w=nir.Linear(w), part=twice),
    )
    image = conv(rng, 2, 2, 4)
    image.weight -= 0.25
    yield "of images", graph(
        ["input w lif back lif output"], input=source(2, 4, 4), w=conv(rng, 2, 2, 4),
        lif=lif(2, 4, 4), back=image, output=nir.Output(np.array([2, 4, 4])),
    )  # fmt: skip
    yield "own parameters", graph(
        flat, **ends(6, 4), w=nir.Linear(w), back=nir.Linear(back),
        lif=cuba(4, tau_syn=DT * np.array([1, 2, 4, 1]), w_in=np.array([1.0, 2, 4, 1])),
    )  # fmt: skip


def pools(rng):
    for kind in (nir.SumPool2d, nir.AvgPool2d):
        for name, sides in {
            "side by side": ((2, 2), (2, 2)), "apart": ((1, 2), (2, 3)), "scalar": (2, 2),
            "over": ((2, 2), (1, 1), (1, 1)),
        }.items():  # fmt: skip
            layer = pool(kind, *sides)
            after = conv(rng, 3, 4, 4, padding=0)
            after.weight = rng.integers(-5, 7, after.weight.shape) / 8
            image = conv(rng, 2, 3, 8)
            shape = window_shape(layer, (3, 8, 8))
            out = (4, shape[1] - 2, shape[2] - 2)
            yield (
                f"{kind.__name__} {name}",
                chain(source(2, 8, 8), image, fire(3, 8, 8), layer, after, fire(*out)),
            )
            yield (
                f"{kind.__name__} {name} on the input",
                chain(source(3, 8, 8), layer, fire(*shape, threshold=0.5)),
            )
            flat = int(np.prod(shape))
            low = -40 if kind is nir.SumPool2d else -20
            yield f"{kind.__name__} {name} before a matrix", chain(
                source(2, 8, 8), image, fire(3, 8, 8), layer, nir.Flatten(np.array(shape), 0, -1),
                nir.Linear(whole(rng, 3, flat, low=low, high=42)), fire(3),
            )  # fmt: skip
    yield (
        "behind a convolution",
        chain(
            source(2, 6, 6), conv(rng, 2, 4, 6), pool(nir.AvgPool2d, (2, 2), (2, 2)), fire(4, 3, 3)
        ),
    )
    yield (
        "padded behind a pool",
        chain(
            source(2, 8, 8), pool(nir.SumPool2d, (2, 2), (2, 2)), conv(rng, 2, 3, 4), fire(3, 4, 4)
        ),
    )
    yield (
        "padded behind a pool that leaves a row",
        chain(
            source(2, 7, 7), pool(nir.SumPool2d, (2, 2), (2, 2)), conv(rng, 2, 3, 3), fire(3, 3, 3)
        ),
    )


def window_shape(layer, shape):
    kernel, stride, padding = (
        np.broadcast_to(sides, 2) for sides in (layer.kernel_size, layer.stride, layer.padding)
    )
    return (shape[0], *((np.array(shape[1:]) + 2 * padding - kernel) // stride + 1).tolist())


def layers(rng):
    w, v = whole(rng, 5, 6), np.eye(4, 5) + np.eye(4, 5, 1)
    yield "matrices", vector(nir.Linear(w), nir.Linear(v), fire(4))
    yield (
        "matrices with biases",
        vector(nir.Affine(w, whole(rng, 5) / 4), nir.Affine(v, -whole(rng, 4) / 4), lif(4)),
    )
    yield "a scale", vector(nir.Scale(np.array([1, 2, 0.5, 1, 0, 2])), nir.Linear(w), fire(5))
    yield "a scale of one number", vector(nir.Linear(w), nir.Scale(np.array([2.0])), fire(5))
    few = conv(rng, 2, 3, 5)
    few.weight = rng.integers(-12, 20, few.weight.shape) / 32
    yield "a scale of channels", chain(
        source(2, 5, 5), few, nir.Scale(np.array([1.0, 2, 0.5])[:, None, None]),
        fire(3, 5, 5),
    )  # fmt: skip
    yield "a scale of positions", chain(
        source(2, 3, 3), nir.Scale(np.arange(18.0).reshape(2, 3, 3) % 3), conv(rng, 2, 2, 3),
        fire(2, 3, 3, threshold=2.0),
    )  # fmt: skip
    few = conv(rng, 1, 2, 4)
    few.weight = rng.integers(-5, 9, few.weight.shape) / 8
    yield "padded convolutions in a row", chain(
        source(1, 4, 4), few, nir.Conv2d(
            (4, 4), np.ones((2, 1, 3, 3)), 1, 1, 1, 2, np.zeros(2)
        ), fire(2, 4, 4, threshold=4.0),
    )  # fmt: skip
    yield "convolutions with strides, dilation and groups", chain(
        source(2, 12, 11),
        conv(rng, 2, 4, 12, kernel=(2, 3), stride=(2, 1), padding=0, dilation=(2, 1), groups=2),
        nir.Conv2d((5, 9), np.ones((2, 2, 2, 2)), (1, 2), 0, (2, 1), 2, np.zeros(2)),
        fire(2, 3, 4, threshold=4.0),
    )  # fmt: skip
    yield (
        "a bias of convolutions",
        chain(source(2, 5, 5), conv(rng, 2, 3, 5, bias=np.array([0.25, -0.25, 0.5])), lif(3, 5, 5)),
    )
    yield "a bias that a border cuts", chain(
        source(1, 3, 3), conv(rng, 1, 2, 3, bias=np.array([0.25, 0.125])),
        nir.Conv2d((3, 3), np.ones((2, 1, 3, 3)), 1, 1, 1, 2, np.zeros(2)), fire(2, 3, 3),
    )  # fmt: skip
    yield "rows", chain(
        source(2, 16),
        nir.Conv1d(16, whole(rng, 4, 2, 3), 2, 1, 1, 1, np.array([0.0, 0.25, 0, 0])), fire(4, 8),
        nir.Flatten(np.array([4, 8]), 0, -1), nir.Linear(whole(rng, 3, 32)), fire(3),
    )  # fmt: skip
    yield (
        "an image without the flatten",
        chain(
            source(2, 4, 4),
            conv(rng, 2, 2, 4),
            fire(2, 4, 4),
            nir.Linear(whole(rng, 3, 32)),
            fire(3),
        ),
    )
    yield "some axes and then all", chain(
        source(2, 3, 3), nir.Flatten(np.array([2, 3, 3]), 1, -1), nir.Linear(whole(rng, 3, 18)),
        fire(3),
    )  # fmt: skip
    yield "a flattened image in neurons", chain(
        source(2, 4, 4), conv(rng, 2, 2, 4), nir.Flatten(np.array([2, 4, 4]), 0, -1), fire(32),
        nir.Linear(whole(rng, 3, 32)), fire(3),
    )  # fmt: skip
    yield "two branches of a sum", graph(
        ["input a lif output", "input b lif"], **ends(6, 4), a=nir.Linear(whole(rng, 4, 6)),
        b=nir.Affine(whole(rng, 4, 6), whole(rng, 4) / 4), lif=lif(4),
    )  # fmt: skip
    yield "a sum before a layer", graph(
        ["input a sum lif output", "input sum"], **ends(4, 4), a=nir.Linear(np.eye(4)[::-1].copy()),
        sum=nir.Linear(whole(rng, 4, 4)), lif=fire(4),
    )  # fmt: skip
    yield "a current with two readers", graph(
        ["input a one b three output", "a two c three"], **ends(6, 3),
        a=nir.Linear(whole(rng, 4, 6)), one=fire(4), two=lif(4), b=nir.Linear(whole(rng, 3, 4)),
        c=nir.Linear(whole(rng, 3, 4)), three=fire(3),
    )  # fmt: skip


def neurons(rng):
    w = whole(rng, 5, 6)
    taus = DT * np.array([1, 2, 4, 2, 1])
    rs = taus / DT
    yield "own membranes", vector(nir.Linear(w), lif(5, tau=taus, r=rs))
    yield "own thresholds", vector(nir.Linear(w), lif(5, v_threshold=np.arange(2, 7) / 4))
    yield "own resistances", vector(nir.Linear(w), lif(5, r=np.array([1.0, 2, 4, 2, 1])))
    yield "own leaks", vector(nir.Linear(w), lif(5, v_leak=np.arange(-2, 3) / 8, v_threshold=0.75))
    yield (
        "own currents",
        vector(nir.Linear(w), cuba(5, tau_syn=taus, w_in=rs, tau_mem=2 * taus, r=2 * rs)),
    )
    yield "own integrators", vector(nir.Linear(w), fire(5, r=np.array([1, 2, 0.5, 1, 4])))
    yield "own channels", chain(
        source(2, 4, 4), conv(rng, 2, 2, 4),
        lif(2, 4, 4, tau=DT * np.array([2, 4])[:, None, None], r=np.array([2, 4])[:, None, None]),
    )  # fmt: skip
    image = DT * rng.choice([1, 2, 4], (2, 4, 4))
    yield "own positions", chain(
        source(2, 4, 4), conv(rng, 2, 2, 4), lif(2, 4, 4, tau=image, r=image / DT),
        conv(rng, 2, 3, 4), fire(3, 4, 4),
    )  # fmt: skip
    yield "on the input", chain(source(5), lif(5, v_threshold=0.75, r=1.0))
    yield "on an image", chain(source(2, 3, 3), cuba(2, 3, 3))
    yield "on neurons", vector(nir.Linear(w), fire(5), lif(5, r=1.0, v_threshold=0.25))
    yield "without memory", vector(nir.Linear(w), nir.Threshold(np.full(5, 0.75)))
    yield "biased before a current", vector(nir.Affine(w, whole(rng, 5) / 8), cuba(5))
    yield "biased before the current of an image", chain(
        source(2, 4, 4), conv(rng, 2, 3, 4, bias=np.array([0.125, 0, -0.25])), cuba(3, 4, 4),
        conv(rng, 3, 2, 4, stride=2, bias=np.array([0.125, 0.25])), cuba(2, 2, 2),
    )  # fmt: skip
    yield (
        "rest and bias",
        vector(
            nir.Affine(w, whole(rng, 5) / 8),
            lif(5, v_leak=0.25),
            nir.Linear(whole(rng, 3, 5)),
            lif(3),
        ),
    )
    yield (
        "delayed",
        vector(
            nir.Linear(np.abs(w)),
            fire(5),
            nir.Delay(np.full(5, 3 * DT)),
            nir.Linear(whole(rng, 3, 5, low=9)),
            fire(3),
        ),
    )
    yield "delayed differently", chain(
        source(2, 3, 3), nir.Delay(DT * np.arange(18.0).reshape(2, 3, 3) / 4 // 1),
        conv(rng, 2, 2, 3), fire(2, 3, 3),
    )  # fmt: skip


GRAPHS = {
    f"{maker.__name__}: {name}": built
    for maker in (loops, pools, layers, neurons)
    for name, built in maker(np.random.default_rng(3))
}


def check(built, net, frames, dt=DT):
    """Compare every population that has the name of a node."""
    expected = run_nir(built, frames, dt)
    batch = frames.shape[1]
    x = frames.swapaxes(0, 1).reshape(batch, len(frames), *net.input_shape)
    results = [sdt_lava.simulate(net, x, backend) for backend in ("reference", "engine")]
    compared = [name for name in net.lif_names if name in expected]
    assert compared and min(expected[name].mean() for name in compared) < 1
    for name in compared:
        # Silent neurons would agree for no reason.
        assert expected[name].any(), name
        for result in results:
            found = result.spikes[name].reshape(expected[name].shape)
            assert np.array_equal(found, expected[name]), name


def frames_for(built, batch=3, share=0.4, seed=0):
    shape = next(iter(built.input_type.values()))
    rng = np.random.default_rng(seed)
    return (rng.random((STEPS, batch, *shape)) < share).astype(np.int64)


@pytest.mark.parametrize("name", GRAPHS)
def test_the_same_spikes(name):
    built = GRAPHS[name]
    net, report = from_nir(built, NirOptions(timesteps=STEPS, dt=DT))
    assert not [note for note in report.notes if "rounded" in note]
    check(built, net, frames_for(built))


@pytest.mark.parametrize("name", [*GRAPHS][::7])
def test_the_same_from_a_file(name, tmp_path):
    nir.write(tmp_path / "net.nir", GRAPHS[name])
    net, _ = load_nir(tmp_path / "net.nir", NirOptions(timesteps=STEPS, dt=DT))
    check(GRAPHS[name], net, frames_for(GRAPHS[name]))


@pytest.mark.lava
@pytest.mark.parametrize("name", ["loops: inside", "pools: AvgPool2d over", "neurons: delayed"])
def test_the_same_in_lava(name):
    built = GRAPHS[name]
    net, _ = from_nir(built, NirOptions(timesteps=STEPS, dt=DT))
    x = frames_for(built, 1).swapaxes(0, 1)
    expected = sdt_lava.simulate(net, x, "reference").spikes
    found = sdt_lava.simulate(net, x, "lava-inprocess").spikes
    assert all(np.array_equal(found[name], spikes) for name, spikes in expected.items())


def test_what_became_of_them():
    def kinds(name):
        return [type(node) for node in from_nir(GRAPHS[name], NirOptions(timesteps=2))[0]][1:]

    assert kinds("pools: AvgPool2d side by side") == [Conv, Lif, Conv, Lif]
    assert kinds("loops: inside") == [Dense, CubaLif, Dense, Lif]
    assert kinds("layers: matrices") == [Dense, Lif]
    assert kinds("neurons: on an image") == [Conv, Lif]
    # Padding behind the overlap of windows is no convolution of the image any more.
    assert kinds("layers: padded convolutions in a row") == [Dense, Lif]


def test_one_rounded_decay_is_used_in_the_whole_equation():
    """With tau as it was rounded, Euler's method gives the same spikes: leak, drive and rest."""
    rng = np.random.default_rng(1)
    decays = {"tau": 410, "tau_mem": 614, "tau_syn": 1843}
    one, two = 410 / 4096 * 8, 614 / 4096 * 1843 / 4096 * 8
    for neuron in (
        lif(4, tau=10 * DT, r=8.0, v_leak=0.5, v_threshold=one),
        cuba(4, tau_mem=DT / 0.15, tau_syn=DT / 0.45, v_leak=1843 / 4096, v_threshold=two),
    ):
        built = vector(nir.Linear(whole(rng, 4, 6, low=-10, high=40)), neuron)
        net, report = from_nir(built, NirOptions(timesteps=STEPS, dt=DT))
        assert any("rounded to" in note for note in report.notes)
        for field, decay in decays.items():
            if hasattr(neuron, field):
                getattr(neuron, field)[:] = DT * 4096 / decay
        check(built, net, frames_for(built, batch=40))


def integrator(r):
    return vector(nir.Linear(np.array([[0.0625]])), fire(1, r=r), inputs=1)


@pytest.mark.parametrize(
    ("r", "dt"), [(1.0, None), (1.0, 1e-4), (1.0, 1.0), (10_000.0, None), (10_000.0, 1e-4)]
)
def test_an_integrator_takes_one_step_as_its_unit(r, dt):
    """r = 1 a step, as most programs write it, or 1/dt, as SpikingJelly does."""
    net, report = from_nir(integrator(r), NirOptions(timesteps=60, dt=dt))
    spikes = sdt_lava.simulate(net, np.ones((1, 60, 1), int), "reference").spikes["if"]
    assert np.flatnonzero(spikes[:, 0, 0]).tolist() == [16, 33, 50] and report.notes == ()


def test_an_integrator_whose_unit_is_no_step_is_refused():
    with pytest.raises(NirError, match=r"if it is 1/dt, pass --dt 0\.0001"):
        from_nir(integrator(10_000.0), NirOptions(timesteps=60, dt=1.0))


@pytest.mark.parametrize(
    ("shape", "nodes", "expected"),
    [
        ((1, 20), [nir.Linear(np.ones((3, 20))), fire(3)], (20,)),
        ((4, 20), [nir.Linear(np.ones((3, 20))), fire(3)], (20,)),
        ((1, 25, 20), [nir.Linear(np.ones((3, 20))), fire(3)], (20,)),
        ((1, 2, 8, 8), [conv(np.random.default_rng(0), 2, 4, 8), fire(4, 8, 8)], (2, 8, 8)),
        ((1, 8, 8), [conv(np.random.default_rng(0), 1, 4, 8), fire(4, 8, 8)], (1, 8, 8)),
        ((1, 2, 8, 8), [pool(nir.SumPool2d, 2, 2), fire(2, 4, 4)], (2, 8, 8)),
        ((1, 5), [fire(5, threshold=0.5)], (5,)),
        ((1, 5), [fire(threshold=0.5)], (5,)),
        ((1, 2, 3, 3), [fire(2, 3, 3, threshold=0.5)], (2, 3, 3)),
        ((1, 3, 3), [fire(1, 3, 3, threshold=0.5)], (1, 3, 3)),
        ((1, 2, 16), [nir.Conv1d(16, np.ones((4, 2, 3)), 1, 1, 1, 1, np.zeros(4)), fire(4, 16)],
         (2, 1, 16)),
        ((1, 16), [nir.Conv1d(16, np.ones((4, 1, 3)), 1, 1, 1, 1, np.zeros(4)), fire(4, 16)],
         (1, 1, 16)),
        ((1, 2, 4, 4), [nir.Flatten(np.array([1, 2, 4, 4]), 1, -1),
                        nir.Linear(np.ones((3, 32))), fire(3)], (2, 4, 4)),
        ((1, 6), [nir.Scale(np.ones(6)), nir.Linear(np.ones((3, 6))), fire(3)], (6,)),
        (None, [nir.Linear(np.ones((3, 20))), fire(3)], (20,)),
        (None, [conv(np.random.default_rng(0), 2, 4, 8), fire(4, 8, 8)], (2, 8, 8)),
        (None, [fire(2, 3, 3, threshold=0.5)], (2, 3, 3)),
    ],
)  # fmt: skip
def test_shapes_of_the_input(shape, nodes, expected):
    entry = nir.Input({"input": None if shape is None else np.array(shape)})
    net, report = from_nir(chain(entry, *nodes), NirOptions(timesteps=4, dt=DT))
    assert net.input_shape == expected
    frames = np.ones((4, 1, *expected), np.int64)
    assert sdt_lava.simulate(net, frames.swapaxes(0, 1), "reference").spikes[net.output_name].any()


def test_a_shape_that_nobody_says_comes_from_the_caller():
    built = chain(nir.Input({"input": None}), pool(nir.SumPool2d, 2, 2), fire())
    with pytest.raises(NirError, match="--input-shape"):
        from_nir(built, NirOptions(timesteps=2))
    net, _ = from_nir(built, NirOptions(timesteps=2, input_shape=(2, 6, 4)))
    assert net.shapes["if"] == (2, 3, 2)


def test_numbers_of_any_type_and_shape():
    rng = np.random.default_rng(0)
    plain = vector(nir.Linear(whole(rng, 5, 6)), lif(5))
    expected, _ = from_nir(plain, NirOptions(timesteps=STEPS, dt=DT))
    for dtype in (np.float32, np.float64):
        for shape in ((), (1,), (5,), (1, 5)):
            values = {"tau": 2 * DT, "r": 2.0, "v_leak": 0.0, "v_threshold": 1.0}
            neuron = nir.LIF(**{name: np.full(shape, v, dtype) for name, v in values.items()})
            built = vector(nir.Linear(plain.nodes["linear"].weight.astype(dtype)), neuron)
            net, report = from_nir(built, NirOptions(timesteps=STEPS, dt=DT))
            assert report.notes == ()
            for name in ("linear", "lif"):
                first, second = net.nodes[name], expected.nodes[name]
                assert all(
                    np.array_equal(getattr(first, field), getattr(second, field))
                    for field in ("weight", "threshold", "voltage_decay")
                    if hasattr(first, field)
                )


def test_a_decay_of_1_in_float32():
    built = vector(nir.Linear(np.ones((2, 6))), lif(2, tau=np.float32(1e-4), r=1.0))
    net, report = from_nir(built, NirOptions(timesteps=2))
    assert net.nodes["lif"].voltage_decay == 4096 and report.notes == ()


def test_what_nobody_reads_refuses_nothing():
    rng = np.random.default_rng(0)
    built = vector(nir.Linear(whole(rng, 4, 6)), lif(4))
    built.nodes |= {"probe": nir.LI(*(np.ones(4),) * 3), "far": nir.Scale(np.ones(2))}
    built.edges += [("lif", "probe"), built.edges[0]]
    built.metadata = {"framework": "another", "version": 3}
    net, report = from_nir(built, NirOptions(timesteps=STEPS, dt=DT))
    assert report.notes == (
        "edge ('input', 'linear') occurs more than once and is taken once",
        "not on a way to the Output, left out: probe, far",
    )
    built.edges = built.edges[:3]
    del built.nodes["probe"], built.nodes["far"]
    check(built, net, frames_for(built))


def test_a_name_that_only_the_edges_of_a_graph_inside_have():
    """The NIR paper's own files with graphs inside call the neurons 'lif' in edges alone."""
    rng = np.random.default_rng(4)
    part = inner_loop(cuba(4), nir.Linear(whole(rng, 4, 4, low=-40, high=30)), 4)
    built = graph(["input w r output"], **ends(6, 4), w=nir.Linear(whole(rng, 4, 6)), r=part)
    expected, _ = from_nir(built, NirOptions(timesteps=STEPS))
    part.nodes = {"lif1" if name == "lif" else name: node for name, node in part.nodes.items()}
    net, report = from_nir(built, NirOptions(timesteps=STEPS))
    assert "edges of graph 'r' name 'lif', which it does not have" in report.notes[0]
    assert np.array_equal(net.nodes["r.lif1"].weight_rec, expected.nodes["r.lif"].weight_rec)
    part.nodes["more"] = lif(4)
    with pytest.raises(NirError, match="of graph 'r': no node 'lif'"):
        from_nir(built, NirOptions(timesteps=STEPS))


def test_an_integrator_at_the_end_is_a_readout():
    rng = np.random.default_rng(2)
    w, v = whole(rng, 5, 6), whole(rng, 3, 5)
    built = vector(
        nir.Linear(w),
        fire(5),
        nir.Affine(v, np.array([0.5, 0, -0.25])),
        nir.I(np.array([1.0, 2, 1])),
    )
    net, report = from_nir(built, NirOptions(timesteps=STEPS))
    assert isinstance(net.nodes[net.output_name], Readout)
    frames = frames_for(built)
    expected = run_nir(built, frames, DT)["i"][-1]
    logits = sdt_lava.simulate(net, frames.swapaxes(0, 1), "reference").logits
    assert np.allclose(logits / net.readout.scale, expected, rtol=0.02, atol=0.1)
    assert "its state after the last step" in report.notes[0]


def test_graphs_inside_graphs_have_a_limit():
    part = chain(source(2), fire(2), nir.Output(np.array([2])))
    for _ in range(80):
        part = graph(["input part output"], **ends(2, 2), part=part)
    with pytest.raises(NirError, match="at most 64 deep"):
        from_nir(part, NirOptions(timesteps=2))


def test_ways_that_split_and_join_have_a_limit():
    nodes, edges = ends(2, 2), []
    last = "input"
    for level in range(12):
        for side in "ab":
            nodes[f"{side}{level}"] = nir.Linear(np.eye(2))
            edges.append(f"{last} {side}{level} j{level}")
        nodes[f"j{level}"] = nir.Linear(np.eye(2))
        last = f"j{level}"
    built = graph([*edges, f"{last} lif output"], **nodes, lif=fire(2))
    with pytest.raises(NirError, match="more than 64 ways"):
        from_nir(built, NirOptions(timesteps=2))


def test_large_matrices_are_refused_before_they_are_made():
    built = chain(
        source(1, 400, 400), conv(np.random.default_rng(0), 1, 1, 400),
        nir.Conv2d((400, 400), np.ones((1, 1, 3, 3)), 1, 1, 1, 1, np.zeros(1)), fire(1, 400, 400),
    )  # fmt: skip
    with pytest.raises(NirError, match="a matrix of 160000 x 160000 weights"):
        from_nir(built, NirOptions(timesteps=2))


def test_a_helper_that_always_fires_is_named():
    built = vector(nir.Affine(np.ones((2, 6)) / 4, np.full(2, 0.125)), cuba(2))
    net, report = from_nir(built, NirOptions(timesteps=3))
    assert "'cubalif.always', which fires at every step" in report.notes[0]
    assert report.quantization.notes == ()
    spikes = sdt_lava.simulate(net, np.zeros((1, 3, 6)), "reference").spikes
    assert spikes["cubalif.always"].all()
    assert replace(net.nodes["cubalif.always"]).origin == "cubalif"
