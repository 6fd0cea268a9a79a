"""NIR graphs as other programs write them, and how they are compared with Euler's method.

Weights, thresholds and decays are such that nothing has to be rounded.
"""

from __future__ import annotations

import nir
import numpy as np

import sdt_lava
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
