"""Counts against brute force over the connectivity of the emitted Lava processes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

import sdt_lava
from sdt_lava.backends.deployment import compile_network
from sdt_lava.compiler.connections import convolution
from sdt_lava.compiler.partition import partition
from sdt_lava.errors import DataError
from sdt_lava.ir import Conv
from sdt_lava.ir.fan_out import fan_out
from sdt_lava.ir.reference import run_reference
from tests.graphs import random_chain, random_frames, random_sdt_graph


def emitted_connections(compiled):
    """Yield (source, reader, synapses per source neuron) of every emitted connection process."""
    from sdt_lava.backends.lava.processes.blocks.models import SubLayersModel
    from sdt_lava.backends.lava.processes.blocks.process import Layers

    for plan in partition(compiled.graph, compiled.schedule, ()):
        model = SubLayersModel(Layers(plan))
        for index, connection in enumerate(plan.connections):
            process = getattr(model, f"connection_{index}")
            yield connection.source, connection.reader, _fan_out_of_process(process, connection)


def _fan_out_of_process(process, connection):
    if type(process).__name__ == "Conv":
        return _fan_out_by_poking(process, connection.source_shape)
    weights = process.weights.init
    if isinstance(weights, csr_matrix):
        return np.diff(weights.tocsc().indptr)
    return np.full(weights.shape[1], weights.shape[0])


def _fan_out_by_poking(process, shape):
    """Count the outputs that one event at each input reaches through a kernel of ones."""
    weight = np.ones_like(process.weight.init).transpose(0, 3, 2, 1)
    node = Conv(
        name="c", weight=weight, stride=_pair(process.stride), padding=_pair(process.padding),
        dilation=_pair(process.dilation), groups=int(process.groups.init),
    )  # fmt: skip
    matrix = convolution(node, shape, node.output_shape([shape]))
    return np.diff(matrix.tocsc().indptr)


def _pair(var):
    return tuple(int(value) for value in var.init[::-1])


NETWORKS = {
    "transformer": lambda rng: random_sdt_graph(rng, image=(2, 7, 5), channels=4),
    "pooled": lambda rng: random_sdt_graph(rng, image=(1, 6, 6), channels=3, downsampling="or"),
    "subsampled": lambda rng: random_sdt_graph(
        rng, image=(2, 5, 5), channels=4, downsampling="subsample"
    ),
    "chain": lambda rng: random_chain(rng),
    "one token": lambda rng: random_sdt_graph(
        rng, image=(1, 1, 1), channels=2, downsampling="none", timesteps=1
    ),
}


@pytest.mark.lava
@pytest.mark.parametrize("convolutions", ["sparse", "conv"])
@pytest.mark.parametrize("network", NETWORKS)
def test_synops_equal_brute_force_over_lava_processes(network, convolutions):
    rng = np.random.default_rng(1)
    graph = NETWORKS[network](rng)
    frames = random_frames(rng, graph, batch=3)
    compiled = compile_network(graph, convolutions=convolutions)
    values = run_reference(compiled.graph, frames)
    expected: dict[str, int] = {}
    for source, reader, synapses in emitted_connections(compiled):
        events = np.count_nonzero(values[source], axis=(0, 1)).ravel()
        expected[reader] = expected.get(reader, 0) + int(events @ synapses)
    x = np.swapaxes(frames, 0, 1) / graph.input.scale
    table = sdt_lava.simulate(graph, x).synops
    assert {layer.name: layer.synops for layer in table.layers} == expected
    assert table.total == sum(expected.values()) > 0


def test_roles_of_a_transformer():
    rng = np.random.default_rng(2)
    graph = random_sdt_graph(rng, image=(2, 6, 6), channels=4)
    frames = random_frames(rng, graph, batch=2)
    values = run_reference(graph, frames)
    table = sdt_lava.simulate(graph, np.swapaxes(frames, 0, 1) / graph.input.scale).synops
    rows = {layer.name: layer for layer in table.layers}
    attention = "block.0.attn"
    coincidences = graph.nodes[f"{attention}.mask"].inputs
    tokens = int(np.prod(graph.shapes[f"{attention}.mask"][1:]))
    query, gate = (values[name].sum() for name in coincidences)
    assert rows[f"{attention}.mask"].mask == query + gate * tokens
    counted = next(node for node in graph if node.kind == "token_sum")
    reader = graph.consumers[counted.name][0]
    assert rows[reader].token_sum == values[counted.inputs[0]].sum()
    assert table.by_role["shortcut"] > 0 and table.by_role["pool"] > 0
    assert sum(table.by_role.values()) == table.total
    first = next(layer for layer in table.layers if layer.kind == "lif")
    assert first.mac == first.synapse > 0
    assert sum(layer.mac for layer in table.layers) == first.mac


def test_counts_do_not_depend_on_the_back_end():
    rng = np.random.default_rng(3)
    graph = random_sdt_graph(rng, image=(1, 4, 4), channels=4)
    x = np.swapaxes(random_frames(rng, graph, batch=2), 0, 1) / graph.input.scale
    tables = [sdt_lava.simulate(graph, x, name).synops for name in ("reference", "engine")]
    assert tables[0] == tables[1]


def test_silence_costs_nothing_without_biases():
    graph = random_sdt_graph(np.random.default_rng(4), biases=False)
    result = sdt_lava.simulate(graph, np.zeros((2, *graph.input_shape)))
    assert result.synops.total == 0 and result.synops.input_events == 0


def test_counts_add_up_over_samples():
    rng = np.random.default_rng(5)
    graph = random_sdt_graph(rng)
    x = np.swapaxes(random_frames(rng, graph, batch=20), 0, 1) / graph.input.scale
    whole = sdt_lava.simulate(graph, x).synops
    parts = [sdt_lava.simulate(graph, x[[index]]).synops.total for index in range(20)]
    assert whole.total == sum(parts)
    assert whole.per_inference == pytest.approx(np.mean(parts))


@settings(max_examples=60, deadline=None)
@given(
    sides=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
)
def test_fan_out_of_a_convolution(sides, kernel, stride, padding, dilation):
    node = Conv(
        name="c", weight=np.ones((4, 1, kernel, kernel), int), stride=(stride, stride),
        padding=(padding, padding), dilation=(dilation, dilation), groups=2,
    )  # fmt: skip
    shape = (2, *sides)
    assume(all(side + 2 * padding > dilation * (kernel - 1) for side in sides))
    matrix = convolution(node, shape, node.output_shape([shape]))
    assert np.array_equal(fan_out(node, shape).ravel(), np.diff(matrix.tocsc().indptr))


def test_the_float_model_has_no_synops():
    from sdt_lava.backends.result import Result

    result = Result("torch", np.zeros((1, 2)), {}, 0.0)
    with pytest.raises(DataError, match="torch"):
        _ = result.synops


def test_table_prints_every_layer():
    rng = np.random.default_rng(6)
    graph = random_sdt_graph(rng)
    table = sdt_lava.simulate(graph, np.zeros((1, *graph.input_shape))).synops
    text = str(table)
    assert all(layer.name in text for layer in table.layers)
    assert f"total {table.total} synops" in text
    plain = table.to_dict()
    assert plain["total"] == table.total and len(plain["layers"]) == len(table.layers)
