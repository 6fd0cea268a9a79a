"""First layers whose sums are shifted to the right, as Lava has them: spikes of the reference."""

from __future__ import annotations

import numpy as np
import pytest

import sdt_lava
from sdt_lava.quantize.post_training import quantize
from tests.quantize.test_first_layer import float_graph, frames

FORMS = ["conv as a matrix", "conv with a relay", "dense", "flattened"]
IN_PROCESS = ["lava", "accelerated", "fused-blocks", "fused"]


def network(form: str, bits: int, by_channel: bool, monkeypatch):
    """Return an exported network whose first layer takes that form on Lava."""
    if form == "conv with a relay":
        monkeypatch.setattr("sdt_lava.compiler.compile.AUTO_UNROLL_LIMIT", 10)
    net, _ = quantize(float_graph(form.partition(" ")[0]), bits, by_channel=by_channel)
    assert np.min(net.nodes["w"].exponent) < 0
    shifted = sdt_lava.compile(net).shifted
    assert shifted == (("w",) if form == "conv with a relay" else ())
    return net


def check(net, **options):
    x = frames(3)
    expected = sdt_lava.simulate(net, x, "reference")
    found = sdt_lava.simulate(net, x, **options)
    for name in net.lif_names:
        assert 0 < expected.spikes[name].mean() < 1
        assert np.array_equal(found.spikes[name], expected.spikes[name]), name
    assert np.array_equal(found.logits, expected.logits)


@pytest.mark.parametrize("by_channel", [False, True], ids=["layer", "channels"])
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("form", FORMS)
def test_without_lava(form, bits, by_channel, monkeypatch):
    net = network(form, bits, by_channel, monkeypatch)
    for backend in ("engine", "machine"):
        check(net, backend=backend)


@pytest.mark.lava
@pytest.mark.parametrize("by_channel", [False, True], ids=["layer", "channels"])
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("form", FORMS)
def test_in_process(form, bits, by_channel, monkeypatch):
    net = network(form, bits, by_channel, monkeypatch)
    for models in IN_PROCESS:
        check(net, backend="lava-inprocess", models=models)


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_in_processes_of_their_own(form, monkeypatch):
    check(network(form, 4, False, monkeypatch), backend="lava")
