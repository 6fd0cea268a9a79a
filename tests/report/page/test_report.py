"""The report: page, JSON and tables say what the run did."""

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

import sdt_lava
from sdt_lava.backends.result import Result
from sdt_lava.errors import ConfigError, DataError
from sdt_lava.io.files import OutputError
from sdt_lava.ir import Lif
from sdt_lava.ir.reference import run_reference
from sdt_lava.report.energy_model import ENERGY_MODELS
from sdt_lava.report.page import ReportOptions, collect_report, write_report
from sdt_lava.report.page.explanations import EXPLANATIONS
from sdt_lava.report.page.membranes import membrane_histograms
from sdt_lava.report.page.write import render
from sdt_lava.report.runtime_model import RuntimeModel, RuntimeTerm
from tests.cuba_graphs import random_cuba_chain
from tests.graphs import random_chain, random_frames, random_sdt_graph

VOID = {"br", "img", "link", "meta"}


class Page(HTMLParser):
    """Collects references, and checks that every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.references, self.open, self.text = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.references += [value for name, value in attributes if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def report_of(make, seed=0, batch=5, labelled=True, name="net.h5", **options):
    rng = np.random.default_rng(seed)
    graph = make(rng, **options)
    x = np.swapaxes(random_frames(rng, graph, batch=batch), 0, 1) / graph.input.scale
    x = x.astype(np.float32)
    classes = int(np.prod(graph.shapes[graph.order[-1]]))
    y = rng.integers(0, classes, batch) if labelled else None
    run = {"network": name, "data": "random"}
    return collect_report(graph, x, y, run, ReportOptions(compared_samples=batch))


NETWORKS = {
    "transformer": (random_sdt_graph, {"image": (2, 7, 5), "channels": 4}),
    "chain": (random_chain, {}),
    "one token": (
        random_sdt_graph,
        {"image": (1, 1, 1), "channels": 2, "downsampling": "none", "timesteps": 1},
    ),
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("labelled", [True, False])
def test_page_is_whole_and_self_contained(network, labelled):
    make, options = NETWORKS[network]
    report = report_of(make, labelled=labelled, **options)
    page = Page(render(report))
    assert page.references
    for reference in page.references:
        assert reference.startswith(("#", "data:image/png;base64,"))
    text = " ".join(page.text)
    assert "@import" not in text and "url(" not in text
    for layer in report.counts.layers:
        assert layer.name in text
    assert f"{report.counts.synops / report.counts.samples:,.0f}" in text
    assert all(row.differing == row.logits_differing == 0 for row in report.differences)
    for table in report.energies:
        assert f"{table.per_sample_nj:,.1f} nJ" in text
        assert all(cost.source in text for key, cost in table.model.costs.items()
                   if key in table.by_operation)  # fmt: skip
        assert all(line in text for line in table.model.assumptions)


def test_explanations_on_the_page():
    text = " ".join(Page(render(report_of(random_sdt_graph))).text)
    shown = set(EXPLANATIONS) - {"core_map", "by_core", "runtime"}  # of a target, below
    missing = [key for key in shown if EXPLANATIONS[key].formula not in text]
    assert missing == []


def test_files_hold_the_run(tmp_path):
    report = report_of(random_sdt_graph, batch=7)
    page = write_report(report, tmp_path / "deep" / "report", figures=True)
    folder = page.parent
    content = json.loads((folder / "report.json").read_text())
    assert content["accuracy"] == np.mean(report.result.labels == report.labels)
    assert np.sum(content["confusion"]) == 7
    assert np.trace(content["confusion"]) == round(7 * content["accuracy"])
    assert content["counts"]["synops"] == report.result.synops.total
    assert [table["model"] for table in content["energy"]] == list(ENERGY_MODELS)
    with (folder / "layers.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["synops"]) for row in rows) == report.counts.synops
    with (folder / "energy.csv").open() as file:
        energy = [row for row in csv.DictReader(file) if row["model"] == "loihi1"]
    assert sum(float(row["energy_pj"]) for row in energy) == pytest.approx(
        report.energies[2].total_pj
    )
    with (folder / "predictions.csv").open() as file:
        predicted = [int(row["predicted"]) for row in csv.DictReader(file)]
    assert predicted == report.result.labels.tolist()
    assert (folder / "run.svg").exists() and (folder / "run.png").exists()
    assert not [path for path in folder.iterdir() if path.suffix == ".tmp"]


def test_names_from_files_are_text():
    report = report_of(random_chain, name="<script>alert(1)</script>")
    assert "<script" not in render(report)


def test_folder_that_is_a_file(tmp_path):
    taken = tmp_path / "report"
    taken.write_text("mine")
    with pytest.raises(OutputError):
        write_report(report_of(random_chain), taken)
    assert taken.read_text() == "mine"


def test_membranes_above_threshold_are_the_spikes():
    report = report_of(random_sdt_graph, batch=3)
    net = report.result.net
    for histogram in membrane_histograms(report.result, 3):
        spikes = report.result.spikes[histogram.name]
        counts = np.array(histogram.counts)
        assert counts.sum() == spikes.size
        threshold = next(n for n in net.of_type(Lif) if n.name == histogram.name).threshold
        if threshold > 0:  # the threshold lies at the edge between bins 35 and 36
            assert counts[36:].sum() >= spikes.sum() >= counts[37:].sum()


def test_attention_pictures_are_those_of_the_masks():
    report = report_of(random_sdt_graph, batch=2, image=(2, 6, 6), channels=4)
    masked = report.counts
    rate = next(row.rate for row in masked.layers if row.name == "block.0.attn.mask")
    shares = [picture.maps[0][2] for picture in report.attention]
    assert np.mean(shares) == pytest.approx(rate)
    assert all(re.match("data:image/png", picture.image) for picture in report.attention)


def test_core_map_and_its_messages():
    rng = np.random.default_rng(3)
    graph = random_sdt_graph(rng, image=(2, 6, 6), channels=4)
    x = np.swapaxes(random_frames(rng, graph, batch=2), 0, 1).astype(np.float32)
    runtime = RuntimeModel("a", "A", "b", ("quiet",), {"synops": RuntimeTerm(1.0, 0.5, "p. 3")})
    options = ReportOptions(others=(), target="loihi2", runtime=runtime)
    report = collect_report(
        graph, x / graph.input.scale, None, {"network": "n", "data": "d"}, options
    )
    assert report.core_map["cores"] >= 1
    traffic = report.core_map["traffic"]
    steps = 2 * graph.timesteps
    between = round(steps * (traffic["between_cores"] + traffic["between_chips"]))
    assert report.counts.messages == {
        "spike_between_cores": between, "hop": round(steps * traffic["hops"])
    }  # fmt: skip
    loihi1 = report.energies[2]
    pj = 1.7 * between + 3.0 * report.counts.messages["hop"]
    charged = loihi1.by_operation
    assert sum(charged.get(name, 0.0) for name in report.counts.messages) == pytest.approx(pj)
    text = " ".join(Page(render(report)).text)
    for key in ("core_map", "by_core", "runtime"):
        assert EXPLANATIONS[key].formula in text
    most = max(report.core_map["by_core"]["synops"]) / steps
    assert report.core_map["runtime"]["step_ns"] == 1.0 + 0.5 * most
    assert "p. 3" in text and "quiet" in text


def test_only_chosen_layers_are_drawn():
    rng = np.random.default_rng(3)
    graph = random_sdt_graph(rng, image=(2, 6, 6), channels=4)
    x = np.swapaxes(random_frames(rng, graph, batch=2), 0, 1) / graph.input.scale
    run = {"network": "n", "data": "d"}
    options = ReportOptions(others=(), layers=("head.lif", "block.0.mlp.*"))
    report = collect_report(graph, x.astype(np.float32), None, run, options)
    expected = {"head.lif", "block.0.mlp.fc1_lif", "block.0.mlp.fc2_lif"}
    assert {raster.name for raster in report.rasters} == expected
    assert {histogram.name for histogram in report.histograms} == expected
    with pytest.raises(ConfigError, match="block.7"):
        collect_report(graph, x, None, run, replace(options, layers=("block.7.*",)))


def test_the_float_model_has_no_report():
    result = Result("torch", np.zeros((1, 2)), {}, 0.0)
    with pytest.raises(DataError):
        membrane_histograms(result, 1)


def test_membranes_of_recurrent_and_delayed_neurons():
    rng = np.random.default_rng(0)
    graph = random_cuba_chain(rng)
    frames = random_frames(rng, graph)
    result = sdt_lava.simulate(graph, np.swapaxes(frames, 0, 1) / graph.input.scale)
    histograms = {row.name: row for row in membrane_histograms(result, 2)}
    assert tuple(histograms) == graph.lif_names
    recurrent = graph.nodes["hidden_lif"]
    undelayed = graph.rebuild([replace(recurrent, delay=0) if n is recurrent else n for n in graph])
    fired = run_reference(undelayed, frames)["hidden_lif"].sum()
    counts = histograms["hidden_lif"].counts
    assert sum(counts[36:]) >= fired >= sum(counts[37:]) > 0
