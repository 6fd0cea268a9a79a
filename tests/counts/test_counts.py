"""Counts by layer, step and sample; energies and both accountings made from them."""

import numpy as np
import pytest

import sdt_lava
from sdt_lava.counts.counts import SYNAPTIC_OPERATIONS, merge
from sdt_lava.errors import DataError
from sdt_lava.ir import Dense, Graph, Input, Lif
from sdt_lava.ir.reference import run_reference
from sdt_lava.report.accounting import compare_accountings
from sdt_lava.report.energy_model import load_energy_model, read_energy_model
from sdt_lava.report.energy_table import energy
from tests.graphs import random_chain, random_frames, random_sdt_graph
from tests.needs import back_ends


def run(seed, batch=4, backend="engine", make=random_sdt_graph, **options):
    rng = np.random.default_rng(seed)
    graph = make(rng, **options)
    x = np.swapaxes(random_frames(rng, graph, batch=batch), 0, 1) / graph.input.scale
    return sdt_lava.simulate(graph, x, backend)


def test_counts_by_step_and_sample_add_up():
    result = run(0)
    whole = sdt_lava.report.count(result)
    for index in range(4):
        x = np.swapaxes(result.frames[:, [index]], 0, 1) / result.net.input.scale
        alone = sdt_lava.report.count(sdt_lava.simulate(result.net, x))
        for one, all_samples in zip(alone.layers, whole.layers, strict=True):
            assert np.array_equal(one.events[:, 0], all_samples.events[:, index])
            assert np.array_equal(one.synops[:, 0], all_samples.synops[:, index])
    assert whole.synops == result.synops.total > 0
    for operation in SYNAPTIC_OPERATIONS:
        by_sample = whole.operations(operation).sum(axis=0)
        assert sum(whole.by_step(operation)) == by_sample.sum() == whole.total(operation)
        assert whole.statistics(operation) == (by_sample.mean(), by_sample.std())
    blocks = whole.by_block()
    assert sum(row["accumulate"] for row in blocks.values()) == whole.total("accumulate")


def test_updates_and_events():
    result = run(1)
    counts = result.counts
    values = run_reference(result.net, result.frames)
    for layer in counts.layers:
        if layer.kind != "lif":
            continue
        assert np.array_equal(
            layer.events, values[layer.name].sum(axis=tuple(range(2, values[layer.name].ndim)))
        )
        active, idle = (
            layer.operations(f"neuron_update_{state}") for state in ("active", "inactive")
        )
        assert np.array_equal(active + idle, np.full_like(active, layer.neurons))
        assert np.array_equal(active, layer.events)
    assert counts.graded_messages > 0


@pytest.mark.parametrize("backend", back_ends("engine", "lava-inprocess", "lava"))
def test_counts_do_not_depend_on_the_back_end(backend):
    options = {"image": (1, 4, 4), "channels": 4}
    counts = run(2, backend=backend, **options).counts
    assert counts.to_dict() == run(2, backend="reference", **options).counts.to_dict()
    assert counts.synops > 0


def test_merged_parts_equal_the_whole():
    result = run(3, batch=5)
    x = np.swapaxes(result.frames, 0, 1) / result.net.input.scale
    parts = [sdt_lava.simulate(result.net, part).counts for part in (x[:2], x[2:])]
    assert merge(parts).to_dict() == result.counts.to_dict()
    with pytest.raises(DataError, match="no run"):
        merge([])
    with pytest.raises(DataError, match="different networks"):
        merge([result.counts, run(3, make=random_chain).counts])


def test_the_float_model_has_no_counts():
    from sdt_lava.backends.result import Result

    with pytest.raises(DataError, match="torch"):
        sdt_lava.report.count(Result("torch", np.zeros((1, 2)), {}, 0.0))


@pytest.mark.parametrize("seed", range(6))
def test_formula_and_exact_differ_by_borders_and_positions_alone(seed):
    make = random_sdt_graph if seed % 2 else random_chain
    accounting = compare_accountings(run(seed, make=make).counts)
    for row in accounting.rows:
        assert row.formula == pytest.approx(row.exact + row.border + row.position)
        assert row.border >= 0
        if row.flops == row.dense_operations:
            assert row.border == 0
    assert accounting.exact * 4 == pytest.approx(run(seed, make=make).synops.total)


def test_one_by_one_convolutions_have_no_difference():
    accounting = compare_accountings(run(1, image=(2, 6, 6), channels=4).counts)
    rows = {row.name: row for row in accounting.rows}
    row = rows["block.0.mlp.fc1_conv"]
    assert row.exact > 0
    assert row.formula == pytest.approx(row.exact)
    assert row.reason.startswith("equal")


def test_saturated_input_reaches_every_synapse():
    rng = np.random.default_rng(7)
    graph = random_sdt_graph(rng, image=(2, 5, 5), channels=4)
    high = graph.input.high or graph.input.low
    result = sdt_lava.simulate(graph, np.full((1, *graph.input_shape), high / graph.input.scale))
    first = next(row for row in result.counts.connections if row.operation == "mac")
    assert first.operations.sum() == first.synapses * graph.timesteps
    assert first.synapses < first.flops  # padding


def test_energy_by_hand():
    counts = run(4).counts
    table = sdt_lava.report.energy(counts, model="loihi1")
    synaptic = sum(counts.total(name) for name in SYNAPTIC_OPERATIONS)
    updates = (counts.total("neuron_update_active"), counts.total("neuron_update_inactive"))
    expected = 23.6 * synaptic + 81.0 * updates[0] + 52.0 * updates[1]
    assert table.total_pj == pytest.approx(expected)
    assert table.per_sample_nj == pytest.approx(expected / 4 / 1e3)
    for groups in (table.by_block, table.by_operation, table.by_layer):
        assert sum(groups.values()) == pytest.approx(expected)
    assert table.not_charged == {}


def test_what_is_not_charged_is_listed():
    counts = run(4).counts
    model = read_energy_model("m", 'title="x"\nsource="y"\n[costs.mac]\npj=1\nsource="z"')
    table = energy(counts, model)
    assert table.total_pj == counts.total("mac")
    assert table.not_charged["accumulate"] == counts.total("accumulate")
    charged = {row.operation for row in table.rows}
    happened = {name for name in load_energy_model("loihi1").costs if name in SYNAPTIC_OPERATIONS}
    happened = {name for name in happened if counts.total(name)}
    assert charged | set(table.not_charged) >= happened


def test_rows_are_flat():
    counts = run(5).counts
    for row in (*counts.rows(), *energy(counts).table()):
        assert all(isinstance(value, (str, int, float, bool)) for value in row.values())


def test_rows_tell_what_leaves_from_what_arrives():
    """A dense layer of 3 neurons that reads 4: events times fan-out, at both ends."""
    rng = np.random.default_rng(0)
    net = Graph.build(
        [
            Input(name="in", shape=(4,), scale=1.0, low=0, high=1),
            Dense(name="a", inputs=("in",), weight=rng.integers(1, 5, (3, 4), dtype=np.int32)),
            Lif(name="lif", inputs=("a",), threshold=3, voltage_decay=4096),
            Dense(name="b", inputs=("lif",), weight=rng.integers(1, 5, (2, 3), dtype=np.int32)),
            Lif(name="out", inputs=("b",), threshold=3, voltage_decay=4096),
        ],
        timesteps=2,
    )
    x = rng.integers(0, 2, (5, 4))
    result = sdt_lava.simulate(net, x, "reference")
    rows = {row["name"]: row for row in result.counts.rows()}
    sent = {"in": 2 * int(x.sum())} | {k: int(v.sum()) for k, v in result.spikes.items()}
    for name, events, out, received in (
        ("in", sent["in"], 3, 0),
        ("lif", sent["lif"], 2, sent["in"]),
        ("out", sent["out"], 0, sent["lif"]),
    ):
        row = rows[name]
        assert (row["events"], row["fan_out"]) == (events, out)
        assert row["synops_caused"] == events * out
        assert row["events_received"] == received
    assert rows["lif"]["synops"] == sent["in"] * 3 and rows["out"]["synops"] == sent["lif"] * 2
    assert sum(row["synops_caused"] for row in rows.values()) == result.counts.synops
