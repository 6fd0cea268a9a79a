"""The list of back ends: what an added one gets, and what the commands and errors say of it."""

from __future__ import annotations

import numpy as np
import pytest

import sdt_lava
from sdt_lava.backends import backend as registry
from sdt_lava.backends.backend import (
    backend_for,
    find_backend,
    graph_names,
    hardware_names,
    names_taking,
    register,
    simulator_names,
)
from sdt_lava.backends.result import spike_differences
from sdt_lava.errors import ConfigError
from tests.backends.toy import ToyBackend
from tests.cli.conftest import run  # noqa: F401
from tests.graphs import random_frames, random_sdt_graph


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setattr(registry, "_BACKENDS", dict(registry._BACKENDS))
    register(ToyBackend())


@pytest.fixture
def case():
    rng = np.random.default_rng(3)
    graph = random_sdt_graph(rng)
    return graph, np.swapaxes(random_frames(rng, graph), 0, 1) / graph.input.scale


def test_names_come_in_the_order_in_which_they_are_documented():
    assert simulator_names() == ("engine", "reference", "machine", "lava", "lava-inprocess")
    assert hardware_names() == ("loihi2",)
    assert graph_names() == (*simulator_names(), "loihi2")
    assert names_taking("models") == ("lava", "lava-inprocess")


def test_the_first_back_end_of_a_kind_is_its_default(case):
    assert backend_for(case[0]).name == "engine"
    assert backend_for(object()).name == "torch"
    for net, name in ((case[0], "torch"), (object(), "engine"), (case[0], "toy")):
        with pytest.raises(ConfigError, match="for this network"):
            backend_for(net, name)


def test_an_added_back_end_runs_graphs_and_what_they_are_compiled_to(toy, case):
    graph, x = case
    for options in ({}, {"shortcut": "relay"}, {"sdsa": "and", "threads": 1}):
        found = sdt_lava.simulate(graph, x, backend="toy", **options)
        chosen = {name: way for name, way in options.items() if name != "threads"}
        expected = sdt_lava.simulate(graph, x, "reference", **chosen)
        assert found.backend == "toy" and (found.compiled is not None) == bool(options)
        assert spike_differences(found, expected) == 0
        assert np.array_equal(found.logits, expected.logits)
        assert found.counts.to_dict() == expected.counts.to_dict()
        assert not found.traits.is_pipelined


def test_errors_name_who_takes_an_option(toy, case):
    graph, x = case
    for option, value, allowed in (
        ("models", "lava", "('lava', 'lava-inprocess')"),
        ("memory", "1GiB", "back end 'engine'"),
    ):
        with pytest.raises(ConfigError) as raised:
            sdt_lava.simulate(graph, x, "toy", **{option: value})
        error = raised.value
        assert (error.where, error.found) == (option, f"{value!r} for back end 'toy'")
        assert error.allowed == allowed
    with pytest.raises(ConfigError) as raised:
        sdt_lava.simulate(graph, x, "reference", threads=1)
    assert raised.value.allowed == "('engine', 'toy')"


@pytest.fixture
def files(tmp_path, case):
    graph, x = case
    sdt_lava.save_network(graph, tmp_path / "net.h5")
    np.savez(tmp_path / "x.npz", x=x, y=np.zeros(len(x), int))
    return tmp_path / "net.h5", tmp_path / "x.npz"


def commands(network, data, folder):
    yield "main_sim", network, "--data", data, "--backend", "toy"
    compared = ("--left-backend", "toy", "--right-backend", "reference")
    yield "main", "compare", network, network, "--data", data, *compared
    yield "main", "evaluate", network, "--data", data, "--out", folder / "all", "--backend", "toy"
    page = ("--out", folder / "page", "--backend", "toy")
    yield "main", "report", network, "--data", data, *page


def test_commands_take_an_added_back_end(toy, files, tmp_path, run):  # noqa: F811
    for command in commands(*files, tmp_path):
        code, _, err = run(*command)
        assert code == 0, err


def test_commands_say_which_back_ends_there_are(files, tmp_path, run):  # noqa: F811
    for command in commands(*files, tmp_path):
        code, _, err = run(*command)
        assert code == 2 and "'toy'" in err and "'lava-inprocess'" in err
    with pytest.raises(ConfigError, match="one of .*'loihi2'"):
        find_backend("--backend", "toy", with_hardware=True)
