"""Energy by the paper's formula, and attention against attention."""

from dataclasses import replace

import pytest

from sdt_lava.errors import DataError, EnergyModelError
from sdt_lava.model.presets import PRESETS
from sdt_lava.report.attention_cost import attention_ratio, rate_for_ratio
from sdt_lava.report.energy_model import load_energy_model, read_energy_model
from sdt_lava.report.formula import formula_layers
from sdt_lava.report.formula_energy import formula_energy
from sdt_lava.report.rates import read_rates

CONFIG = replace(PRESETS["8-512"], downsampling="max")
FP32 = load_energy_model("horowitz45-fp32")


def all_rates(rate):
    return {name: rate for layer in formula_layers(CONFIG) for name in layer.inputs}


def test_energy_by_hand():
    energy = formula_energy(CONFIG, FP32, all_rates(0.1))
    rows = {row.layer.name: row for row in energy.rows}
    first = 4.6 * 4 * 9 * 224 * 224 * 3 * 64
    assert rows["patch_embed.proj_conv"].energy_pj == pytest.approx(first)
    assert rows["block.3.mlp.fc1_conv"].energy_pj == pytest.approx(0.9 * 4 * 0.1 * 196 * 512 * 2048)
    assert rows["block.3.attn.sdsa"].energy_pj == pytest.approx(0.9 * 4 * 0.2 * 196 * 512)
    assert energy.energy_mj == pytest.approx(sum(row.energy_pj for row in energy.rows) / 1e9)


def test_implied_rate_gives_the_energy():
    rate = formula_energy(CONFIG, FP32).implied_rate(4.5)
    assert formula_energy(CONFIG, FP32, all_rates(rate)).energy_mj == pytest.approx(4.5)


def test_missing_rates_are_named():
    rates = all_rates(0.1)
    del rates["block.2.mlp.fc2_lif"]
    energy = formula_energy(CONFIG, FP32, rates)
    assert energy.missing_rates == ("block.2.mlp.fc2_conv",)
    assert energy.energy_mj is None
    assert energy.to_dict()["energy"]["total_mj"] is None


def test_model_without_the_two_costs():
    model = read_energy_model("half", 'title="x"\nsource="y"\n[costs.mac]\npj=1\nsource="z"')
    with pytest.raises(EnergyModelError, match="accumulate"):
        formula_energy(CONFIG, model)


def test_attention_is_linear_in_tokens_and_channels():
    point = {"timesteps": 4, "rate": 0.1}
    once = attention_ratio(FP32, tokens=100, dim=64, **point)
    assert attention_ratio(FP32, tokens=300, dim=64, **point).sdsa_pj == pytest.approx(
        3 * once.sdsa_pj
    )
    assert attention_ratio(FP32, tokens=100, dim=192, **point).sdsa_pj == pytest.approx(
        3 * once.sdsa_pj
    )
    assert once.vanilla_pj == pytest.approx(4.6 * (2 * 100**2 * 64 + 3 * 100**2))
    assert once.sdsa_pj == pytest.approx(0.9 * 4 * 0.1 * 100 * 64)


@pytest.mark.parametrize("with_projections", [False, True])
def test_rate_for_ratio(with_projections):
    point = {"tokens": 196, "dim": 768, "timesteps": 4}
    rate = rate_for_ratio(FP32, 87.2, **point, with_projections=with_projections)
    found = attention_ratio(
        FP32,
        **point,
        rate=2 * rate if with_projections else rate,
        input_rate=rate if with_projections else None,
    )
    assert found.ratio == pytest.approx(87.2)


def test_silent_attention_costs_nothing():
    silent = attention_ratio(FP32, tokens=4, dim=8, timesteps=1, rate=0.0)
    assert silent.ratio == float("inf")


def test_rates_from_a_file(tmp_path):
    path = tmp_path / "rates.csv"
    path.write_text("name,rate\npatch_embed.proj_lif,0.1\n\nhead,0.25\n")
    assert read_rates(path, formula_layers(CONFIG)) == {"patch_embed.proj_lif": 0.1, "head": 0.25}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "line 1: 'nothing'"),
        ("layer,rate\n", "line 1"),
        ("name,rate\nhead\n", "line 2: 1 columns"),
        ("name,rate\nhead,0.1\nbody,0.1\n", "line 3: unknown name 'body'"),
        ("name,rate\nhead,0.1\nhead,0.1\n", "second rate"),
        ("name,rate\nhead,much\n", "'much'"),
        ("name,rate\nhead,nan\n", "nan"),
        ("name,rate\nhead,-0.1\n", "-0.1"),
        ("name,rate\nhead,3\n", "3.0"),
        ("name,rate\n\x00,3\n", "rates.csv"),
    ],
)
def test_wrong_rates(tmp_path, text, where):
    path = tmp_path / "rates.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=where):
        read_rates(path, formula_layers(CONFIG))


def test_rates_file_missing(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_rates(tmp_path / "none.csv", formula_layers(CONFIG))
