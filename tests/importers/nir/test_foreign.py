"""NIR graphs of other programs: float weights, other units, and what has no counterpart here."""

from __future__ import annotations

import nir
import numpy as np
import pytest

from sdt_lava import simulate
from sdt_lava.errors import GraphError, NirError, QuantizationError
from sdt_lava.ir import Conv, Dense, Flatten, Lif, Readout
from sdt_lava.nir import NirOptions, from_nir
from sdt_lava.quantize.post_training import CalibrationData
from tests.importers.nir.euler import run_nir

DT = 1e-4
STEPS = 6


def filled(value, *shape):
    return np.full(shape, float(value))


def lif(*shape, tau=2 * DT, r=1.0, leak=0.0, threshold=1.0, **more):
    return nir.LIF(
        tau=filled(tau, *shape), r=filled(r, *shape), v_leak=filled(leak, *shape),
        v_threshold=filled(threshold, *shape), **more,
    )  # fmt: skip


def cuba(*shape, tau_syn=2 * DT, tau_mem=4 * DT, r=1.0, leak=0.0, threshold=0.3, w_in=1.0):
    return nir.CubaLIF(
        tau_syn=filled(tau_syn, *shape), tau_mem=filled(tau_mem, *shape), r=filled(r, *shape),
        v_leak=filled(leak, *shape), v_threshold=filled(threshold, *shape), w_in=w_in,
    )  # fmt: skip


def integrate(*shape, r=1.0, threshold=1.0):
    return nir.IF(r=filled(r, *shape), v_threshold=filled(threshold, *shape))


def conv(rng, shape, out, kernel=3, stride=1, padding=1, dilation=1, groups=1, bias=0.0):
    weight = rng.normal(0, 1 / kernel, (out, shape[0] // groups, kernel, kernel))
    return nir.Conv2d(
        input_shape=tuple(shape[1:]), weight=weight.astype(np.float32), stride=stride,
        padding=padding, dilation=dilation, groups=groups, bias=filled(bias, out),
    )  # fmt: skip


def chain(*nodes):
    """A graph of nodes in a row, named by their kind and number."""
    return nir.NIRGraph.from_list(*nodes, type_check=False)


def image_chain(rng):
    """Two convolutions and a dense layer, the readout included."""
    shape = (2, 6, 6)

    def neurons(*sides):
        return lif(*sides, r=2.0, threshold=0.4)

    return chain(
        nir.Input(np.array(shape)),
        conv(rng, shape, 4, stride=2, bias=0.4),
        neurons(4, 3, 3),
        conv(rng, (4, 3, 3), 3, padding="same", groups=1),
        neurons(3, 3, 3),
        nir.Flatten(np.array([3, 3, 3]), 0, -1),
        nir.Affine(rng.normal(0.1, 0.7, (5, 27)), rng.normal(0, 0.1, 5)),
        neurons(5),
        nir.Linear(rng.normal(0, 1, (3, 5))),
        nir.Output(np.array([3])),
    )


def spikes_of(graph, rng, batch=8):
    return rng.integers(0, 2, (STEPS, batch, *graph.input_type["input"])).astype(np.int64)


def agreement(source, options=None, frames=None, dt=DT):
    """Import, and return the share of equal spikes: quantized integers against Euler's method."""
    rng = np.random.default_rng(0)
    frames = spikes_of(source, rng) if frames is None else frames
    expected = run_nir(source, frames, dt)
    options = options or NirOptions(timesteps=STEPS, dt=dt)
    graph, report = from_nir(source, options)
    result = simulate(graph, frames.swapaxes(0, 1) / graph.input.scale, "engine")
    shares = {
        name: float(np.mean(spikes == expected[name])) for name, spikes in result.spikes.items()
    }
    # Silent layers would agree for no reason.
    assert all(0 < expected[name].mean() < 1 for name in shares)
    return shares, graph, report


def test_a_trained_network_of_another_program():
    source = image_chain(np.random.default_rng(1))
    shares, graph, report = agreement(source)
    assert shares["lif"] > 0.99 and min(shares.values()) > 0.95
    kinds = [type(node) for node in graph]
    assert kinds[1:] == [Conv, Lif, Conv, Lif, Flatten, Dense, Lif, Readout]
    assert not report.exact and report.notes == ()
    assert {row.name for row in report.quantization.synapses} >= {"conv2d", "affine", "linear"}
    assert report.to_dict()["quantization"]["bits"] == 8
    assert "quantized" in report.lines()[0]


def exact_rows(rng, outputs, inputs):
    """Weights that eight bits hold exactly: multiples of 1/127 that reach 1."""
    rows = rng.integers(-127, 128, (outputs, inputs)) / 127
    rows.flat[0] = 1.0
    return rows


@pytest.mark.parametrize(
    "neurons",
    [
        lif(6),
        lif(6, r=3.0, threshold=2.0),
        lif(6, tau=DT),
        lif(6, leak=0.5, threshold=2.0),
        integrate(6, threshold=2.0),
        integrate(6, r=0.5, threshold=1.0),
        cuba(6),
        cuba(6, r=5.0, w_in=0.5, threshold=0.8),
        cuba(6, tau_syn=DT, tau_mem=DT, threshold=1.2),
        cuba(6, leak=0.2, threshold=0.6),
    ],
)
def test_weights_that_fit_give_the_very_spikes(neurons):
    """With one layer whose weights and threshold need no rounding, nothing is left to differ."""
    rng = np.random.default_rng(0)
    source = chain(nir.Input(np.array([9])), nir.Linear(exact_rows(rng, 6, 9)), neurons)
    shares, graph, report = agreement(source)
    weights = graph.nodes["linear"].weight
    assert np.array_equal(weights, np.rint(source.nodes["linear"].weight * 254))
    # A count on the threshold could go either way; with these numbers none is.
    assert min(shares.values()) > 0.98


def test_thresholds_of_channels_go_into_the_weights():
    rng = np.random.default_rng(0)
    threshold = np.array([0.5, 1.0, 2.0, 4.0])
    neuron = lif(4)
    neuron.v_threshold = threshold
    weight = rng.normal(0.2, 1, (4, 9))
    source = chain(nir.Input(np.array([9])), nir.Affine(weight, threshold / 9), neuron)
    shares, graph, report = agreement(source)
    assert min(shares.values()) > 0.97
    assert report.notes == ("lif: thresholds of the channels are in the weights before it",)
    ratio = graph.nodes["affine"].weight[3] / graph.nodes["affine"].weight[0]
    assert np.median(ratio / (weight[3] / weight[0])) == pytest.approx(0.125, rel=0.1)


def test_images_may_have_thresholds_by_channel_and_by_position():
    rng = np.random.default_rng(0)
    neuron = lif(3, 4, 4)
    neuron.v_threshold = np.broadcast_to([[[0.5]], [[1.0]], [[0.7]]], (3, 4, 4)).copy()
    source = chain(nir.Input(np.array([1, 4, 4])), conv(rng, (1, 4, 4), 3), neuron)
    assert min(agreement(source)[0].values()) > 0.97
    assert isinstance(from_nir(source, NirOptions(timesteps=4, dt=DT))[0].nodes["conv2d"], Conv)
    neuron.v_threshold[1, 2, 2] = 0.9
    shares, graph, _ = agreement_of_flat(source)
    assert min(shares.values()) > 0.97
    # An image whose neurons differ is a vector here, and the convolution a matrix.
    assert graph.nodes["conv2d"].weight.shape == (48, 16)


def test_rounded_decays_are_reported():
    source = chain(nir.Input(np.array([2])), nir.Linear(np.ones((1, 2))), lif(1, tau=3e-4))
    _, report = from_nir(source, NirOptions(timesteps=2, dt=DT))
    assert report.notes == ("lif: dt/tau = 0.333333 rounded to 1365/4096",)
    _, report = from_nir(source, NirOptions(timesteps=20, dt=3e-5))
    assert "dt/tau = 0.1 rounded to 410/4096" in report.notes[0]


def test_graded_input_and_calibration():
    rng = np.random.default_rng(0)
    source = chain(nir.Input(np.array([9])), nir.Linear(rng.normal(0, 0.1, (6, 9))), lif(6))
    data = CalibrationData(rng.uniform(-1, 1, (4, 9)), "noise")
    options = NirOptions(
        timesteps=STEPS, dt=DT, input_range=(-10, 10), input_scale=10.0, calibration=data
    )
    frames = rng.integers(-10, 11, (STEPS, 8, 9))
    shares, graph, _ = agreement(source, options, frames)
    assert (graph.input.low, graph.input.high, graph.input.scale) == (-10, 10, 10.0)
    assert min(shares.values()) > 0.97


def agreement_of_flat(source):
    """Agreement, where our populations may be vectors of the same values."""
    frames = spikes_of(source, np.random.default_rng(0))
    graph, report = from_nir(source, NirOptions(timesteps=STEPS, dt=DT))
    expected = run_nir(source, frames, DT)
    x = frames.swapaxes(0, 1).reshape(frames.shape[1], STEPS, *graph.input_shape)
    shares = {
        name: float(np.mean(spikes.reshape(expected[name].shape) == expected[name]))
        for name, spikes in simulate(graph, x, "engine").spikes.items()
        if name in expected
    }
    assert shares and all(0 < expected[name].mean() < 1 for name in shares)
    return shares, graph, report


@pytest.mark.parametrize("bits", [4, 6])
def test_fewer_bits(bits):
    source = image_chain(np.random.default_rng(1))
    graph, report = from_nir(source, NirOptions(timesteps=4, bits=bits))
    assert report.quantization.bits == bits
    step = 2 ** (9 - bits)
    assert not (graph.nodes["affine"].weight % step).any()


def test_an_input_layer_is_not_needed_in_names_only():
    source = image_chain(np.random.default_rng(1))
    del source.nodes["input"]
    source.edges = source.edges[1:]
    with pytest.raises(NirError, match="0 Input nodes"):
        from_nir(source, NirOptions(timesteps=2))


# -- what cannot be ------------------------------------------------------------------------------


def dense(*more, inputs=4, outputs=3):
    return chain(nir.Input(np.array([inputs])), nir.Linear(np.ones((outputs, inputs))), *more)


def edited(change):
    graph = dense(lif(3))
    change(graph)
    return graph


REFUSED = {
    "membranes that neurons read": (
        chain(
            nir.Input(np.array([3])), nir.Linear(np.ones((3, 3))),
            nir.LI(filled(1, 3), filled(1, 3), filled(0, 3)), nir.Linear(np.ones((3, 3))), lif(3),
        ),
        r"li \(LI\).*'linear_1' reads at every step.*let the Output read it",
    ),
    "loops without neurons": (
        edited(lambda g: (
            g.nodes.update(back=nir.Linear(np.ones((3, 3)))),
            g.edges.extend([("linear", "back"), ("back", "linear")]),
        )),
        "without neurons: 'linear' -> 'back' -> 'linear'",
    ),
    "loops of two populations": (
        edited(lambda g: (
            g.nodes.update(
                forth=nir.Linear(np.ones((3, 3))), twin=lif(3), back=nir.Linear(np.ones((3, 3)))
            ),
            g.edges.extend(
                [("lif", "forth"), ("forth", "twin"), ("twin", "back"), ("back", "lif")]
            ),
        )),
        "through 2 populations, 'lif', 'twin'",
    ),
    "an edge to nowhere": (edited(lambda g: g.edges.append(("lif", "gone"))), "no node 'gone'"),
    "two outputs": (
        edited(lambda g: (
            g.nodes.update(end=nir.Output(np.array([3]))), g.edges.append(("lif", "end")),
        )),
        "2 Output nodes",
    ),
    "nothing at the output": (
        edited(lambda g: g.edges.remove(("lif", "output"))), "'output' reads",
    ),
    "neurons on nothing": (
        edited(lambda g: g.edges.remove(("linear", "lif"))), "lif: neurons that read nothing",
    ),
    "a current with two readers": (
        edited(lambda g: (
            g.nodes.update(twin=lif(3), end=nir.Linear(np.ones((1, 3)))),
            g.edges.extend([("linear", "twin"), ("twin", "end"), ("end", "output")]),
        )),
        r"'output' reads|current with 2 readers",
    ),
    "a reset that is not 0": (dense(lif(3, v_reset=filled(-0.1, 3))), "v_reset"),
    "a reset of one neuron": (
        dense(lif(3, v_reset=np.array([0, 0.25, 0]))), "v_reset: .*a reset to 0.25",
    ),
    "a step longer than tau": (
        dense(lif(3, tau=DT / 2)), r"pass a smaller dt \(at most --dt 5e-05",
    ),
    "no resistance": (dense(lif(3, r=0.0)), "lif: r"),
    "a negative time constant": (dense(lif(3, tau=-1.0)), "lif: tau"),
    "no threshold": (dense(lif(3, threshold=0.0)), "v_threshold"),
    "NaN": (dense(lif(3, leak=np.nan)), "NaN or infinity"),
    "infinite weights": (
        chain(nir.Input(np.array([1])), nir.Linear(filled(np.inf, 1, 1)), lif(1)), "linear: weight",
    ),
    "text for weights": (
        chain(nir.Input(np.array([1])), nir.Linear(np.array([["a"]])), lif(1)), "no numbers",
    ),
    "objects for weights": (
        chain(nir.Input(np.array([1])), nir.Linear(np.array([[{}]], dtype=object)), lif(1)),
        "no numbers",
    ),
    "a stack of matrices": (
        chain(nir.Input(np.array([2, 2])), nir.Linear(np.ones((2, 2, 2))), lif(2, 2)),
        r"shape \(2, 2, 2\)",
    ),
    "other neurons than currents": (dense(lif(4)), "lif: tau: .*as the neurons"),
    "part of the axes": (
        chain(
            nir.Input(np.array([2, 3, 3])), nir.Flatten(np.array([2, 3, 3]), 1, -1),
            nir.Linear(np.ones((3, 9))), lif(3),
        ),
        "all axes",
    ),
    "sums that neurons read": (
        chain(
            nir.Input(np.array([3])), nir.Linear(np.ones((3, 3))), nir.I(filled(1, 3)),
            nir.Linear(np.ones((3, 3))), lif(3),
        ),
        r"i \(I\).*others read at every step.*only the Output",
    ),
    "'same' with a stride": (
        chain(
            nir.Input(np.array([1, 4, 4])),
            conv(np.random.default_rng(0), (1, 4, 4), 2, stride=2, padding="same"), lif(2, 4, 4),
        ),
        "a stride of 1.*write the padding as numbers",
    ),
    "more than memory": (
        chain(
            nir.Input(np.array([1, 2**20, 2**20])),
            conv(np.random.default_rng(0), (1, 2**20, 2**20), 1), lif(1),
        ),
        "at most 268435456",
    ),
    "an image as the end": (
        chain(
            nir.Input(np.array([1, 4, 4])), conv(np.random.default_rng(0), (1, 4, 4), 2),
            nir.Output(np.array([2, 4, 4])),
        ),
        r"current of shape \(2, 4, 4\) without neurons.*Flatten",
    ),
    "a threshold out of reach": (dense(lif(3, threshold=50.0)), "no input reaches it in T = 2"),
    "seconds that are steps": (dense(lif(3, tau=20.0)), r"200000 steps of dt = 0.0001 s.*--dt 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_a_reason(name):
    source, said = REFUSED[name]
    with pytest.raises((NirError, GraphError, QuantizationError), match=said) as caught:
        from_nir(source, NirOptions(timesteps=2, dt=DT))
    assert len(str(caught.value)) < 3000


@pytest.mark.parametrize(("tau", "dt"), [(8.0, "1"), (20.0, "1"), (0.012, "0.001"), (0.5, "0.1")])
def test_the_step_that_is_proposed_makes_usual_time_constants(tau, dt):
    """Smaller steps would also let these neurons fire, once in a sample."""
    source = dense(lif(3, tau=tau, r=1.0, threshold=0.9))
    with pytest.raises(NirError, match=rf"--dt {dt}\)"):
        from_nir(source, NirOptions(timesteps=60, dt=1e-6))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"timesteps": 2, "dt": -1.0},
        {"timesteps": 0},
        {"timesteps": 2, "bits": 1},
        {"timesteps": 2, "input_range": (3, 9)},
        {"timesteps": 2, "input_scale": 0.0},
    ],
)
def test_options_out_of_range(options):
    with pytest.raises((NirError, GraphError, QuantizationError)):
        from_nir(dense(lif(3)), NirOptions(**options))
