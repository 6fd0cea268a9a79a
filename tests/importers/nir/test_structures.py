"""Structures that other programs write, against Euler's method: the same spikes, one by one."""

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
from tests.importers.nir.structure_cases import GRAPHS
from tests.importers.nir.structures import (
    DT,
    STEPS,
    chain,
    check,
    conv,
    cuba,
    ends,
    fire,
    frames_for,
    graph,
    inner_loop,
    lif,
    source,
    vector,
    whole,
)


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
