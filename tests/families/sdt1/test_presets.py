"""Every network of the paper builds; the small ones go from checkpoint to spikes."""

from __future__ import annotations

import pytest

import sdt_lava
from benchmarks import presets as benchmark
from sdt_lava.families.sdt1.official_layout import official_tensors
from sdt_lava.families.sdt1.tensors import expected_tensors
from sdt_lava.model import PRESETS
from tests.families.sdt1.test_parameter_counts import PAPER

SMALL = ("cifar-2-256", "cifar100-2-256")
SLOW = ("cifar100-2-512",)


@pytest.mark.parametrize("name", benchmark.names())
def test_every_preset_has_an_official_form(name):
    config = benchmark.official(name)
    assert (config.downsampling, config.neuron) == ("max", "lif")
    assert set(expected_tensors(config)) <= set(official_tensors(config))
    assert config.dvs_mode == (name == "cifar10-dvs-2-256")
    published = benchmark.published_parameters(config) / 1e6
    if name in PAPER:
        # Within one unit of the last printed digit: the paper rounds some and truncates others.
        assert published == pytest.approx(PAPER[name], abs=0.01)


@pytest.mark.parametrize("name", [*SMALL, *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)])
def test_from_checkpoint_to_spikes(name, tmp_path):
    config = benchmark.official(name)
    checkpoint, path = tmp_path / "model_best.pth.tar", tmp_path / "net.h5"
    benchmark.make_checkpoint(name, checkpoint)
    model = sdt_lava.load_model(checkpoint, config=name)
    assert model.config == config
    sdt_lava.export(model, path)
    net = sdt_lava.load_network(path)
    assert net.input_shape == (config.in_channels, *config.image_size)
    result = sdt_lava.simulate(net, benchmark.sample(config))
    assert result.logits.shape == (1, config.num_classes)
    # Four stages and the head, and seven in each block.
    assert len(result.spikes) == 5 + 7 * config.depth
    for lif, spikes in result.spikes.items():
        assert spikes.any(), lif
        assert len(spikes) == config.timesteps


def test_the_page_shows_what_was_measured():
    runs = benchmark.read_runs()
    assert list(runs) == benchmark.names()
    assert benchmark.markdown(list(runs.values())) in benchmark.PAGE.read_text(encoding="utf-8")
    assert all(run.tokens == PRESETS[name].num_tokens for name, run in runs.items())
