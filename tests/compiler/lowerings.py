"""Choices of lowerings, and what must be the same whatever is chosen."""

from __future__ import annotations

import numpy as np

from sdt_lava.backends.host import network_outputs
from sdt_lava.backends.machine.run import run_machine
from sdt_lava.compiler.columns import WAYS, find_columns, obstacles
from sdt_lava.compiler.streams import forced_relays, stream_names
from sdt_lava.ir import (
    MaxRelay,
    Relay,
)
from sdt_lava.ir.reference import run_reference
from tests.graphs import random_frames

DOWNSAMPLINGS = ("or", "max", "stride", "subsample", "none")


def assert_same(graph, compiled, seed=0, batch=2):
    """Compare every LIF and the readout, in every step, with the reference of the source graph."""
    frames = random_frames(np.random.default_rng(seed), graph, batch=batch)
    expected = run_reference(graph, frames, strict=False)
    run = run_machine(compiled, frames)
    recorded = {name: run.outputs[name] for name in compiled.observed}
    found = network_outputs(compiled, recorded)
    assert set(found) == {*graph.lif_names, graph.output_name}
    for name, values in found.items():
        assert np.array_equal(values, expected[name]), name
    return run


def graded(compiled):
    """Populations that send payloads, without the readout's relay and the input."""
    kinds = (Relay, MaxRelay)
    return [n.name for n in compiled.graph if isinstance(n, kinds) and n.name != "head.fc.relay"]


def random_ways(rng, graph):
    shortcut = {name: str(rng.choice(["relay", "unrolled"])) for name in stream_names(graph)}
    columns = find_columns(graph)
    sdsa = {}
    for name, column in columns.items():
        reasons = obstacles(graph, column)
        sdsa[name] = str(rng.choice([way for way in WAYS if not reasons[way]]))
    forced = forced_relays(graph)
    return {n: "relay" if n in forced else way for n, way in shortcut.items()}, sdsa
