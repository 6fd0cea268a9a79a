"""Remedies of NIR graphs: options that say what a file leaves open."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import nir
import numpy as np
import pytest

import sdt_lava
from sdt_lava.nir import NirOptions, from_nir, to_nir
from tests.graphs import random_chain
from tests.importers.nir.test_foreign import DT, chain, conv, cuba, filled, integrate, lif
from tests.remedies.said import refusal

VECTOR = nir.Input(np.array([4]))
MATRIX = nir.Linear(np.ones((3, 4)))


def unsaid() -> nir.NIRGraph:
    """A graph that does not say the shape of its input."""
    rng = np.random.default_rng(0)
    layer = conv(rng, (2, 6, 6), 3)
    layer.input_shape = None
    graph = chain(nir.Input(np.array([2, 6, 6])), layer, integrate(3, 6, 6, threshold=0.2))
    graph.nodes["input"].input_type = {"input": np.array([])}
    return graph


def options_of(remedy: str) -> dict[str, Any]:
    """Return the options of the command line in a remedy as those of Python."""
    found: dict[str, Any] = {}
    for option, value in re.findall(r"--(dt|timesteps) ([\d.e-]*\d)", remedy):
        found.setdefault(option, float(value) if option == "dt" else int(value))
    return found


def nir_from(graph: nir.NIRGraph, **options: Any) -> Callable[[], Any]:
    return lambda: from_nir(graph, NirOptions(**{"timesteps": 4, "dt": DT, **options}))


def changed_file() -> nir.NIRGraph:
    graph = to_nir(random_chain(np.random.default_rng(0), convs=(4,), denses=(4,)))
    node = next(n for n in graph.nodes.values() if hasattr(n, "weight"))
    node.weight = node.weight + 0.25
    return graph


NIR_CASES: dict[str, tuple[nir.NIRGraph, str, Callable[[nir.NIRGraph, str], Any]]] = {
    "too short a time constant": (
        chain(VECTOR, MATRIX, lif(3, tau=DT / 2)), "at most --dt 5e-05",
        lambda graph, remedy: nir_from(graph, **options_of(remedy))(),
    ),
    "steps for seconds": (
        chain(VECTOR, MATRIX, lif(3, tau=20.0)), r"pass dt \(--dt 1\)",
        lambda graph, remedy: nir_from(graph, **options_of(remedy))(),
    ),
    "a delay of currents": (
        chain(VECTOR, MATRIX, nir.Delay(filled(DT, 3)), integrate(3)), "Delay before the weights",
        lambda *_: nir_from(chain(VECTOR, nir.Delay(filled(DT, 4)), MATRIX, integrate(3)))(),
    ),
    "an image as the result": (
        chain(nir.Input(np.array([1, 4, 4])), conv(np.random.default_rng(0), (1, 4, 4), 2),
              nir.Output(np.array([2, 4, 4]))),
        "put a Flatten or neurons",
        lambda *_: [
            nir_from(chain(
                nir.Input(np.array([1, 4, 4])), conv(np.random.default_rng(0), (1, 4, 4), 2),
                between, nir.Output(np.array(shape)),
            ))()
            for between, shape in (
                (nir.Flatten(np.array([2, 4, 4]), 0, -1), [32]),
                (integrate(2, 4, 4, threshold=0.2), [2, 4, 4]),
            )
        ][-1],
    ),
    "a shape that nobody says": (
        unsaid(), "--input-shape C,H,W", lambda graph, _: nir_from(graph, input_shape=(2, 6, 6))(),
    ),
    "integers that somebody changed": (
        changed_file(), "requantize", lambda graph, _: nir_from(graph, requantize=True)(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NIR_CASES)
def test_nir(name):
    graph, said, mend = NIR_CASES[name]
    found, _ = mend(graph, refusal(nir_from(graph), said))
    assert found.lif_names or found.readout


def test_thresholds_that_more_steps_reach():
    graph = chain(VECTOR, nir.Linear(np.full((3, 4), 0.01)), integrate(3, threshold=1.0))
    remedy = refusal(nir_from(graph), "--timesteps")
    found, _ = nir_from(graph, **options_of(remedy))()
    assert sdt_lava.simulate(found, np.ones((1, 4)), "reference").spikes["if"].any()


def test_delays_of_graded_input():
    """The data are delayed in the graph's place: their first step comes later."""
    delayed = chain(VECTOR, nir.Delay(filled(DT, 4)), MATRIX, cuba(3))
    refusal(nir_from(delayed, input_range=(0, 9)), "delay the data instead")
    nir_from(chain(VECTOR, MATRIX, cuba(3)), input_range=(0, 9))()


def test_options_of_nir_on_the_command_line(tmp_path, command):
    nir.write(tmp_path / "g.nir", chain(VECTOR, MATRIX, integrate(3)))
    words = ["nir", tmp_path / "g.nir", "--out", tmp_path / "n.h5"]
    code, said = command(*words)
    assert code == 2 and "(--timesteps N)" in said
    assert command(*words, "--timesteps", 4)[0] == 0
    code, said = command("nir", tmp_path / "g.nir", "--out", tmp_path / "n.nir")
    assert code == 2 and "name the NIR file NAME.nir" in said
