"""Energy models: constants with sources, the user's own tables, none for Loihi 2."""

import pytest

from sdt_lava.errors import EnergyModelError
from sdt_lava.report.energy_model import (
    ENERGY_MODELS,
    OPERATIONS,
    load_energy_model,
    read_energy_model,
)

MINIMAL = 'title = "Mine"\nsource = "measured"\n'


@pytest.mark.parametrize("name", ENERGY_MODELS)
def test_every_constant_has_a_source(name):
    model = load_energy_model(name)
    assert model.source and model.assumptions
    assert all(cost.source for cost in model.costs.values())
    assert set(model.costs) <= set(OPERATIONS)


def test_constants_of_the_paper():
    costs = load_energy_model("horowitz45-fp32").costs
    assert (costs["mac"].pj, costs["accumulate"].pj) == (4.6, 0.9)


def test_constants_of_loihi1():
    costs = load_energy_model("loihi1").costs
    assert costs["accumulate"].pj == 23.6
    assert (costs["neuron_update_active"].pj, costs["neuron_update_inactive"].pj) == (81.0, 52.0)


@pytest.mark.parametrize("name", ["loihi2", "Loihi 2", "loihi2.toml"])
def test_no_joules_for_loihi2(name):
    with pytest.raises(EnergyModelError, match="has been published"):
        load_energy_model(name)


def test_own_table(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL + "[costs.accumulate]\npj = 2\nsource = 'wattmeter'\n")
    model = load_energy_model(path)
    assert (model.name, model.title) == ("mine", "Mine")
    assert model.costs["accumulate"].pj == 2.0
    assert model.assumptions == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("=", "no TOML"),
        (MINIMAL, "'costs'"),
        (MINIMAL + "costs = 3", "costs is int"),
        (MINIMAL + "costs.mac = 3", "table of named entries"),
        (MINIMAL + "[costs.flight]\npj = 1\nsource = 'x'", "no operation"),
        (MINIMAL + "[costs.mac]\npj = nan\nsource = 'x'", "nan"),
        (MINIMAL + "[costs.mac]\npj = -1\nsource = 'x'", "-1"),
        (MINIMAL + "[costs.mac]\npj = '4'\nsource = 'x'", "'4'"),
        (MINIMAL + "[costs.mac]\npj = 4", "'source'"),
        (MINIMAL + "assumptions = 'none'\n[costs]", "assumptions = 'none'"),
    ],
)
def test_wrong_table(text, found):
    with pytest.raises(EnergyModelError, match=found):
        read_energy_model("mine", text)


def test_unknown_name():
    with pytest.raises(EnergyModelError, match="horowitz45-fp32"):
        load_energy_model("abacus")
