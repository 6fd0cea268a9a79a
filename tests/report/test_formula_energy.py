"""Energy by the paper's formula, and attention against attention."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import sdt_lava
from sdt_lava.errors import DataError, EnergyModelError
from sdt_lava.families.formula import layer_rates
from sdt_lava.families.sdt1.config import SdtConfig
from sdt_lava.families.sdt1.formula import formula_layers
from sdt_lava.families.sdt1.presets import PRESETS
from sdt_lava.model import SpikeDrivenTransformer
from sdt_lava.quantize.export import to_network
from sdt_lava.report.accounting import compare_accountings
from sdt_lava.report.attention_cost import attention_ratio, rate_for_ratio
from sdt_lava.report.energy_model import load_energy_model, read_energy_model
from sdt_lava.report.formula_energy import formula_energy
from sdt_lava.report.rates import read_rates, write_rates

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


def dvs_network(**changes):
    config = SdtConfig(
        image_size=(8, 8), in_channels=2, num_classes=3, dim=16, depth=2, timesteps=3, num_heads=2,
        mlp_ratio=2.0, pooling_stat="0100", downsampling="max", neuron="lif", dvs_mode=True,
        **changes,
    )  # fmt: skip
    torch.manual_seed(1)
    model = SpikeDrivenTransformer(config).eval()
    return config, alive(model)


def alive(model):
    """Let all neurons fire, here and there."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.weight.data[:] = 8
            module.bias.data[:] = 0.5
    return model


def test_rates_of_dilated_spikes_by_hand():
    """In dvs_mode SDSA reads k and v, and the projection the masked q, dilated."""
    config, model = dvs_network()
    net, _ = to_network(model)
    x = np.random.default_rng(0).integers(0, 3, (2, 3, 2, 8, 8)).astype(np.float32)
    result = sdt_lava.simulate(net, x, "reference")
    by_hand, undilated = 0.0, 0.0
    rates = {}
    for block in range(config.depth):
        for branch in "kv":
            spikes = torch.from_numpy(result.spikes[f"block.{block}.attn.{branch}_lif"]).float()
            wide = torch.nn.functional.max_pool2d(spikes.flatten(0, 1), 3, 1, 1)
            by_hand += float(wide.sum()) / len(x)
            undilated += float(spikes.sum()) / len(x)
            rates[f"block.{block}.attn.{branch}_dilate"] = float(wide.mean())
            rates[f"block.{block}.attn.{branch}_lif"] = float(spikes.mean())
    assert by_hand > undilated > 0
    assert compare_accountings(result.counts).sdsa_formula == pytest.approx(by_hand, rel=1e-12)
    rows = {row.layer.name: row for row in formula_energy(config, FP32, rates).rows}
    found = sum(rows[f"block.{block}.attn.sdsa"].operations for block in range(config.depth))
    assert found == pytest.approx(by_hand, rel=1e-6)
    # The neurons' own rates are not those of what is read: without the others R is not known.
    own = {name: rate for name, rate in rates.items() if name.endswith("lif")}
    rows = {row.layer.name: row for row in formula_energy(config, FP32, own).rows}
    assert rows["block.0.attn.sdsa"].rate is None
    assert rows["block.0.attn.proj_conv"].layer.inputs == ("block.0.attn.mask_dilate",)


@pytest.mark.parametrize("downsampling", ["max", "or", "stride"])
@pytest.mark.parametrize("dvs_mode", [False, True])
def test_a_written_table_gives_the_formula_of_the_run(downsampling, dvs_mode, tmp_path):
    config, _ = dvs_network()
    config = replace(config, downsampling=downsampling, dvs_mode=dvs_mode, pooling_stat="0101")
    torch.manual_seed(2)
    net, _ = to_network(alive(SpikeDrivenTransformer(config).eval()))
    x = np.random.default_rng(0).integers(0, 3, (2, 2, 8, 8)).astype(np.float32)
    counts = sdt_lava.simulate(net, x, "engine").counts
    write_rates(tmp_path / "rates.csv", counts)
    ignored = []
    rates = read_rates(tmp_path / "rates.csv", formula_layers(config), ignored)
    energy = formula_energy(config, FP32, rates)
    assert energy.missing_rates == ()
    accounting = compare_accountings(counts)
    measured = {row.name: row for row in accounting.rows}
    for row in energy.rows:
        if row.layer.kind == "sdsa" or row.layer.operation == "mac":
            continue
        found = measured[row.layer.name]
        assert row.rate == pytest.approx(found.rate, rel=1e-12), row.layer.name
        assert row.operations == pytest.approx(found.formula, rel=1e-12)
    assert min(row.rate for row in energy.rows) > 0
    sdsa = sum(row.operations for row in energy.rows if row.layer.kind == "sdsa")
    assert sdsa == pytest.approx(accounting.sdsa_formula, rel=1e-12)
    assert "block.0.attn.q_lif" in ignored and "block.1.attn.talking_heads_lif" in ignored


def test_rates_of_every_neuron_in_our_names_and_the_authors(tmp_path):
    """What monitors record is more than the formula needs: the rest is ignored, and named."""
    rows = {"patch_embed.proj_lif": 0.1, "head_lif": 0.2, "input": 0.5}
    authors = {"MS_SPS_lif": 0.1, "head_lif": 0.2}
    for stage in (1, 2, 3):
        rows[f"patch_embed.proj_lif{stage}"] = authors[f"MS_SPS_lif{stage}"] = 0.05
    theirs = {"shortcut": "first", "q": "q", "k": "k", "v": "v"}
    for block in range(CONFIG.depth):
        for name, other in theirs.items():
            rows[f"block.{block}.attn.{name}_lif"] = 0.1
            authors[f"MS_SSA_Conv{block}_{other}_lif"] = 0.1
        rows[f"block.{block}.attn.talking_heads_lif"] = authors[f"MS_SSA_Conv{block}_kv"] = 0.3
        rows[f"block.{block}.attn.mask"] = authors[f"MS_SSA_Conv{block}_x_after_qkv"] = 0.02
        authors[f"MS_SSA_Conv{block}_kv_before"] = 0.01
        for name in ("fc1_lif", "fc2_lif"):
            rows[f"block.{block}.mlp.{name}"] = authors[f"MS_MLP_Conv{block}_{name}"] = 0.1
    totals = []
    for table in (rows, authors):
        lines = ["name,rate", *(f"{name},{rate}" for name, rate in table.items())]
        (tmp_path / "rates.csv").write_text("\n".join(lines))
        ignored = []
        rates = read_rates(tmp_path / "rates.csv", formula_layers(CONFIG), ignored)
        assert "block.0.attn.q_lif" in ignored and "block.0.attn.q_lif" not in rates
        totals.append(formula_energy(CONFIG, FP32, rates).energy_mj)
    assert totals[0] == totals[1] is not None
    dvs = formula_layers(replace(CONFIG, dvs_mode=True))
    rates = read_rates(tmp_path / "rates.csv", dvs)
    assert rates["block.0.attn.k_dilate"] == 0.1 and rates["block.0.attn.mask_dilate"] == 0.02


@pytest.mark.parametrize(
    "name", ["block.9.attn.q_lif", "block.0.attn.q_liff", "MS_SSA_Conv9_q_lif", "q_lif", "mask"]
)
def test_names_of_no_population(name, tmp_path):
    (tmp_path / "rates.csv").write_text(f"name,rate\n{name},0.1\n")
    with pytest.raises(DataError, match="unknown name") as caught:
        read_rates(tmp_path / "rates.csv", formula_layers(CONFIG))
    assert len(caught.value.allowed) < 250


def test_one_population_under_two_names(tmp_path):
    (tmp_path / "rates.csv").write_text("name,rate\nMS_SPS_lif,0.1\npatch_embed.proj_lif,0.1\n")
    with pytest.raises(DataError, match="second rate"):
        read_rates(tmp_path / "rates.csv", formula_layers(CONFIG))


def test_the_rate_of_a_pool_is_what_the_next_layer_sees():
    layers = formula_layers(CONFIG)
    rates = {"patch_embed.proj_lif": 0.07, "patch_embed.maxpool": 0.27}
    assert layer_rates(layers, rates)["patch_embed.proj_conv1"] == 0.27
    del rates["patch_embed.maxpool"]
    assert layer_rates(layers, rates)["patch_embed.proj_conv1"] == 0.07
