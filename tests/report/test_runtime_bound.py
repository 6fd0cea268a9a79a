"""Lower bounds of the time of a step: files of coefficients, and what follows from them."""

import numpy as np
import pytest

from sdt_lava.backends.deployment import compile_network
from sdt_lava.backends.run import simulate
from sdt_lava.errors import RuntimeModelError
from sdt_lava.hardware.core_map import map_cores
from sdt_lava.report.runtime_bound import runtime_bound
from sdt_lava.report.runtime_model import COUNTS, load_runtime_model
from tests.graphs import random_frames, random_sdt_graph
from tests.hardware.core_map.targets import small_target

TARGET = small_target(neurons_per_core=14, cores_per_chip=3)
NUMBERS = {
    "synops": (5.0, 0.25),
    "neuron_updates": (3.0, 0.5),
    "messages_out": (0.0, 2.0),
    "messages_in": (1.0, 0.125),
    "hops": (0.0, 0.0625),
    "step": (40.0, 0.0),
}


def text_of(terms):
    lines = ['title = "A chip"', 'source = "lab book"', 'assumptions = ["quiet"]']
    for name, (base, per_unit) in terms.items():
        lines += [f"[terms.{name}]", f"base_ns = {base}", 'source = "page 3"']
        lines += [] if name == "step" else [f"per_unit_ns = {per_unit}"]
    return "\n".join(lines)


def model_of(tmp_path, terms):
    path = tmp_path / "chip.toml"
    path.write_text(text_of(terms))
    return load_runtime_model(path)


@pytest.fixture(scope="module")
def mapped():
    rng = np.random.default_rng(0)
    graph = random_sdt_graph(rng, image=(2, 4, 3), channels=4)
    x = np.swapaxes(random_frames(rng, graph, 3), 0, 1) / graph.input.scale
    result = simulate(graph, x, "engine", strict=False)
    return map_cores(compile_network(graph, convolutions="conv"), TARGET, spikes=result), result


def test_the_largest_term_binds(tmp_path, mapped):
    core_map, result = mapped
    bound = runtime_bound(core_map, model_of(tmp_path, NUMBERS))
    counts, steps = core_map.by_core(), core_map.activity.steps
    most = {
        "synops": max(core.synops for core in core_map.cores) / steps,
        "neuron_updates": max(core.usage["neurons"] for core in core_map.cores),
        "messages_out": counts.messages_out.max() / steps,
        "messages_in": counts.messages_in.max() / steps,
        "hops": core_map.traffic().hops / steps,
        "step": 0,
    }
    assert set(COUNTS) == set(most)
    times = {name: base + rate * most[name] for name, (base, rate) in NUMBERS.items()}
    assert {term.count: term.step_ns for term in bound.terms} == pytest.approx(times)
    assert bound.step_ns == pytest.approx(max(times.values()))
    assert bound.binding.count == max(times, key=times.__getitem__)
    assert bound.sample_us == pytest.approx(result.frames.shape[0] * bound.step_ns / 1e3)
    for term in bound.terms:
        if term.core is not None and term.count != "neuron_updates":
            assert getattr(counts, term.count)[term.core] == getattr(counts, term.count).max()


@pytest.mark.parametrize("name", COUNTS)
def test_each_term_alone(tmp_path, mapped, name):
    core_map, _ = mapped
    bound = runtime_bound(core_map, model_of(tmp_path, {name: (7.0, 1.0)}))
    assert [term.count for term in bound.terms] == [name]
    assert bound.step_ns == (7.0 if name == "step" else 7.0 + bound.terms[0].per_step)
    plain = bound.to_dict()
    assert plain["binding"] == name and plain["terms"][0]["source"] == "page 3"
    assert plain["assumptions"] == ["quiet"] and plain["is_lower_bound"] is True


def test_the_bound_is_below_the_mean_of_bounds_by_sample(tmp_path, mapped):
    """Per sample the busiest core differs: the mean of maxima is the larger one."""
    core_map, result = mapped
    model = model_of(tmp_path, NUMBERS)
    x = np.swapaxes(result.frames, 0, 1) / core_map._graph.input.scale
    single = [
        runtime_bound(core_map, model, simulate(core_map._graph, x[index : index + 1])).step_ns
        for index in range(len(x))
    ]
    assert runtime_bound(core_map, model).step_ns <= np.mean(single) * (1 + 1e-12)


def test_an_assumed_activity_bounds_nothing(tmp_path, mapped):
    core_map, result = mapped
    assumed = map_cores(compile_network(core_map._graph, convolutions="conv"), TARGET)
    model = model_of(tmp_path, NUMBERS)
    with pytest.raises(RuntimeModelError, match="assumed"):
        runtime_bound(assumed, model)
    assert runtime_bound(assumed, model, result).step_ns > 0


WRONG = {
    "no terms": 'title = "a"\nsource = "b"\n[terms]\n',
    "no source": 'title = "a"\n[terms.step]\nbase_ns = 1\nsource = "b"\n',
    "no source of a term": 'title = "a"\nsource = "b"\n[terms.step]\nbase_ns = 1\n',
    "unknown term": 'title = "a"\nsource = "b"\n[terms.joules]\nbase_ns = 1\nsource = "b"\n',
    "rate of nothing": text_of({"step": (1, 0)}) + "\nper_unit_ns = 1",
    "negative": text_of({"synops": (-1, 0)}),
    "not a number": text_of({"synops": ("nan", 0)}),
    "a word": text_of({"synops": ('"fast"', 0)}),
    "milliseconds as nanoseconds": text_of({"synops": (1e12, 0)}),
    "no toml": "title = ",
    "terms are a list": 'title = "a"\nsource = "b"\nterms = [1]\n',
}


@pytest.mark.parametrize("case", WRONG)
def test_files_that_are_wrong_are_refused(tmp_path, case):
    path = tmp_path / "chip.toml"
    path.write_text(WRONG[case])
    with pytest.raises(RuntimeModelError) as error:
        load_runtime_model(path)
    assert error.value.exit_code == 2


@pytest.mark.parametrize("name", ["loihi2", "none.toml"])
def test_there_are_no_built_in_coefficients(name):
    with pytest.raises(RuntimeModelError):
        load_runtime_model(name)
