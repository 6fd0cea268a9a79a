"""The recorded cases of the authors' network, spike for spike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import sdt_lava.families.sdt1.attention as attention_module
from sdt_lava.families import load_model, load_with_report
from sdt_lava.families.blocks.layers import dilate_image
from sdt_lava.families.blocks.recording import record_membranes
from sdt_lava.model import SpikeDrivenTransformer
from tests.families.sdt1.official_cases import CASES, golden

MEMBRANE_TOLERANCE = 2e-5
LOGIT_TOLERANCE = 1e-5


def recorded(model, x):
    record = {}
    with torch.no_grad():
        model(x, record)
    return record


def assert_reproduced(model, case):
    record = {}
    with torch.no_grad(), record_membranes(model) as membranes:
        logits = model.step_logits(case.x, record)
    assert case.differing_spikes(record) == 0
    assert set(membranes) == set(case.membranes)
    for name, expected in case.membranes.items():
        assert membranes[name].shape == expected.shape
        assert np.abs(membranes[name].numpy() - expected).max() <= MEMBRANE_TOLERANCE, name
    assert np.abs(logits.numpy() - case.step_logits).max() <= LOGIT_TOLERANCE


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("source", ["conf.yml", "args"])
def test_every_spike_membrane_and_logit(name, source):
    case = golden(name)
    assert_reproduced(load_model(case.checkpoint, case.yml if source == "conf.yml" else None), case)


def test_a_plain_state_dict():
    case = golden("pub_b_static_1111")
    assert_reproduced(load_model(case.folder / "state_dict.pt", case.yml), case)


@pytest.mark.parametrize("name", CASES)
def test_inside_the_attention(name):
    """Masks and products as the authors' hooks recorded them."""
    case = golden(name)
    model = load_model(case.checkpoint)
    masked = {}
    for index, block in enumerate(model.block):
        block.attn.proj_conv.register_forward_hook(
            lambda _module, inputs, _out, index=index: masked.update({index: inputs[0]})
        )
    record = recorded(model, case.x)
    heads = model.config.num_heads
    for index in range(model.config.depth):
        prefix = f"MS_SSA_Conv{index}_"
        k, v = (record[f"block.{index}.attn.{name}_lif"].float() for name in "kv")
        if model.config.dvs_mode:
            k, v = (dilate_image(s.movedim(0, -1)).movedim(-1, 0) for s in (k, v))
            assert np.array_equal(k.numpy(), case.aux[f"{prefix}k_lif"])
            assert np.array_equal(v.numpy(), case.aux[f"{prefix}v_lif"])
        products = by_head(k * v, heads)
        assert np.array_equal(products, case.aux[f"{prefix}kv_before"])
        after = by_head(masked[index].movedim(-1, 0), heads)
        assert np.array_equal(after, case.aux[f"{prefix}x_after_qkv"])


def by_head(spikes, heads):
    """Rearrange ``(T, B, C, H, W)`` to ``(T, B, heads, N, C / heads)``."""
    return spikes.flatten(3).unflatten(2, (heads, -1)).mT.numpy()


def test_the_moving_average_is_another_network():
    case = golden("pub_b_static_1111")
    ordinary, average = load_model(case.checkpoint), load_model(case.checkpoint, ema=True)
    assert average.config == ordinary.config
    assert case.differing_spikes(recorded(average, case.x)) > 0


def test_nothing_is_kept_between_calls():
    case = golden("pub_a_static_0011")
    model = load_model(case.checkpoint)
    recorded(model, torch.rand(2, 3, 32, 32))
    assert_reproduced(model, case)


@pytest.mark.parametrize("name", CASES)
def test_any_order_of_memory_and_threads(name):
    case = golden(name)
    model = load_model(case.checkpoint)
    case.x = case.x.transpose(-1, -2).contiguous().transpose(-1, -2)
    torch.set_num_threads(2)
    assert_reproduced(model, case)


# -- the traps: each wrong reading must be visible in the recorded spikes ------------------------


def with_other_config(model, **changes):
    other = SpikeDrivenTransformer(replace(model.config, **changes)).eval()
    other.load_state_dict(model.state_dict())
    return other


def fires_above_only(model, monkeypatch):
    for block in model.block:
        block.attn.talking_heads_lif.v_th = float(np.nextafter(np.float32(0.5), np.float32(1)))


def no_epsilon(model, monkeypatch):
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.eps = 0.0


def image_dilation_for_tokens(model, monkeypatch):
    monkeypatch.setattr(
        attention_module, "dilate_tokens", lambda spikes, heads: dilate_image(spikes)
    )


def dilation_across_heads(model, monkeypatch):
    for block in model.block:
        block.attn.num_heads = 1


def no_dilation(model, monkeypatch):
    for block in model.block:
        block.attn.dvs_mode = False


def pool_after_the_neuron(model, monkeypatch):
    return with_other_config(model, downsampling="or")


def slayers_neuron(model, monkeypatch):
    """Truncation to 1/4096 and a strict threshold are enough to flip spikes."""
    return with_other_config(model, neuron="cuba")


TRAPS = [
    (fires_above_only, "pub_a_static_0011"),
    (no_epsilon, "pub_a_static_0011"),
    (pool_after_the_neuron, "pub_a_static_0011"),
    (pool_after_the_neuron, "pub_b_static_1111"),
    (slayers_neuron, "pub_b_static_1111"),
    (image_dilation_for_tokens, "pub_c_dvs_0011"),
    (dilation_across_heads, "pub_c_dvs_0011"),
    (no_dilation, "pub_c_dvs_0011"),
]


@pytest.mark.parametrize(("wrong", "name"), TRAPS, ids=[f"{w.__name__}-{n}" for w, n in TRAPS])
def test_a_wrong_reading_would_be_seen(wrong, name, monkeypatch):
    case = golden(name)
    model = load_model(case.checkpoint)
    model = wrong(model, monkeypatch) or model
    record = recorded(model, case.x)
    # A pool on the other side of its neurons changes their number: look at the others.
    for name in [name for name in record if record[name].numel() != case.spikes[name].size]:
        del record[name], case.spikes[name]
    assert case.differing_spikes(record) > 0


@pytest.mark.parametrize("conv", ["attn.proj_conv", "mlp.fc1_conv", "mlp.fc2_conv"])
def test_each_bias_counts(conv, tmp_path):
    case = golden("pub_a_static_0011")
    content = torch.load(case.folder / "model_best.pth.tar", weights_only=False)["state_dict"]
    content[f"block.0.{conv}.bias"].zero_()
    torch.save(content, tmp_path / "model.pt")
    model = load_model(tmp_path / "model.pt", case.yml)
    assert case.differing_spikes(recorded(model, case.x)) > 0


def test_state_carried_over_would_be_seen():
    """A second presentation without a reset gives other spikes than the first."""
    case = golden("pub_a_static_0011")
    model = load_model(case.checkpoint)
    steps = model.config.timesteps
    frames = case.x[:, None].expand(-1, 2 * steps, -1, -1, -1)
    record = {name: spikes[steps:] for name, spikes in recorded(model, frames).items()}
    assert case.differing_spikes(record) > 0


def test_the_mean_over_tokens_comes_before_the_neuron():
    case = golden("pub_a_static_0011")
    model, report = load_with_report(case.checkpoint)
    with torch.no_grad(), record_membranes(model) as membranes:
        model(case.x)
    spikes = model.head_lif(membranes["block.1.mlp"].movedim(0, -1)).movedim(-1, 0)
    rate = spikes.mean(dim=(3, 4)).numpy()
    assert not np.array_equal(rate, case.spikes["head_lif"])
    assert report.unused == (
        "block.0.attn.talking_heads.weight",
        "block.1.attn.talking_heads.weight",
    )
