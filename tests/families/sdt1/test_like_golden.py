"""More cases like the recorded ones, of sizes that nobody recorded.

The expected spikes come from `NumpySdt`, which is written from the paper's equations and shares no
code with the library. Inputs are chosen as for the recorded cases: every decision is at least 5e-6
away from its threshold, so that any correct forward in float32 gives the same spikes.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdt_lava.families import load_model
from sdt_lava.families.blocks.recording import record_membranes
from sdt_lava.families.sdt1.official_layout import official_tensors
from tests.families.sdt1.numpy_sdt import NumpySdt
from tests.families.sdt1.official_cases import official_config, save

MARGIN = 5e-6
MEMBRANE_TOLERANCE = 2e-5
LOGIT_TOLERANCE = 1e-5
ATTEMPTS = 40

CASES = {
    "no pool, odd sides": {"pooling_stat": "0000", "image_size": (5, 7)},
    "odd grid of tokens": {"pooling_stat": "0011", "image_size": (12, 20)},
    "one row of tokens": {"pooling_stat": "1111", "image_size": (16, 48)},
    "one token": {"pooling_stat": "1111", "image_size": (16, 16)},
    "one token of one pixel": {"pooling_stat": "0000", "image_size": (1, 1)},
    "first and last pool": {"pooling_stat": "1001", "image_size": (4, 12)},
    "one step": {"timesteps": 1, "image_size": (8, 12)},
    "nine steps": {"timesteps": 9, "image_size": (4, 8), "depth": 1},
    "hidden as wide": {"mlp_ratio": 1.0, "image_size": (8, 12)},
    "hidden narrower": {"mlp_ratio": 0.5, "image_size": (8, 12)},
    "odd hidden": {"mlp_ratio": 1.3, "image_size": (8, 12)},
    "dvs, odd grid": {"dvs_mode": True, "image_size": (12, 20)},
    "dvs, one head": {"dvs_mode": True, "num_heads": 1, "image_size": (8, 12)},
    "dvs, one channel a head": {"dvs_mode": True, "num_heads": 16, "image_size": (8, 12)},
    "dvs, hidden as wide, one step": {
        "dvs_mode": True, "mlp_ratio": 1.0, "timesteps": 1, "image_size": (8, 8),
    },
    "dvs, one token": {"dvs_mode": True, "pooling_stat": "1111"},
    "one channel, one class": {"in_channels": 1, "num_classes": 1, "image_size": (8, 8)},
    "eight channels": {"dim": 8, "num_heads": 2, "depth": 3, "image_size": (8, 8)},
}  # fmt: skip


def awkward_state(config, seed):
    """Random weights with what makes the recorded cases hard, in every normalisation."""
    rng = np.random.default_rng(seed)
    state = {}
    for name, shape in official_tensors(config).items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(int(rng.integers(1000)))
            continue
        if name.endswith("running_var"):
            value = rng.uniform(0.1, 0.5, shape)
            tiny = rng.random(shape) < 0.15
            value[tiny] = 10 ** rng.uniform(-5, -3, tiny.sum())
        elif "_bn" in name and name.endswith("weight"):
            value = rng.uniform(0.5, 1.5, shape) * np.where(rng.random(shape) < 0.2, -1, 1)
        elif name.endswith("bias") and "_bn" in name:
            value = rng.uniform(0.2, 1.6, shape)
        elif name.endswith("running_mean") or len(shape) == 1:
            value = rng.uniform(-0.2, 0.2, shape)
        else:
            reach = (3 / np.prod(shape[1:])) ** 0.5
            value = rng.uniform(-reach, reach, shape)
        state[name] = torch.from_numpy(value.astype(np.float32))
    for name in [name for name in state if name.endswith("running_var")]:
        # Such a channel hardly varied in training: its gain is that of the others.
        gamma = name.replace("running_var", "weight")
        state[gamma] *= torch.sqrt(state[name] + 1e-5).clamp(max=0.5)
    return state


def awkward_input(config, seed, batch, steps):
    rng = np.random.default_rng(10_000 + seed)
    shape = (config.in_channels, *config.image_size)
    if steps is None:
        return rng.uniform(-2, 3, (batch, *shape)).astype(np.float32)
    return rng.poisson(1.5, (batch, steps, *shape)).astype(np.float32)


def decided_case(config, seed, batch=2, steps=None):
    """Weights, input and what they give, with no decision too close for float32."""
    for attempt in range(ATTEMPTS):
        state = awkward_state(config, ATTEMPTS * seed + attempt)
        x = awkward_input(config, ATTEMPTS * seed + attempt, batch, steps)
        oracle = NumpySdt(config, state)
        logits = oracle.step_logits(x)
        if min(margin.min() for margin in oracle.margins.values()) >= MARGIN:
            return state, x, oracle, logits
    raise AssertionError("no case without close decisions")


def assert_reproduced(path, config, seed, batch=2, steps=None):
    state, x, oracle, expected = decided_case(config, seed, batch, steps)
    model = load_model(save(path, {"state_dict": state}), config)
    record = {}
    with torch.no_grad(), record_membranes(model) as membranes:
        logits = model.step_logits(torch.from_numpy(x), record).numpy()
    assert set(record) == set(oracle.spikes)
    for name, spikes in oracle.spikes.items():
        assert np.array_equal(record[name].numpy(), spikes), name
    assert set(membranes) == set(oracle.membranes)
    for name, membrane in oracle.membranes.items():
        assert np.abs(membranes[name].numpy() - membrane).max() <= MEMBRANE_TOLERANCE, name
    assert np.abs(logits - expected).max() <= LOGIT_TOLERANCE
    return record


@pytest.mark.parametrize("case", CASES)
def test_cases(case, tmp_path):
    config = official_config(**CASES[case])
    record = assert_reproduced(tmp_path / "model.pth.tar", config, seed=0)
    # Silent layers would agree for no reason.
    alive = [name for name, spikes in record.items() if spikes.any() and not spikes.all()]
    assert len(alive) >= 0.5 * len(record)


@pytest.mark.parametrize("steps", [1, 5])
def test_event_frames_of_any_number(steps, tmp_path):
    config = official_config(dvs_mode=True, image_size=(8, 12))
    assert_reproduced(tmp_path / "model.pth.tar", config, seed=1, steps=steps)


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    pooling=st.text("01", min_size=4, max_size=4),
    height=st.integers(1, 3),
    width=st.integers(1, 3),
    heads=st.sampled_from([1, 2, 4, 8]),
    ratio=st.sampled_from([0.5, 1.0, 1.5, 4.0]),
    depth=st.integers(1, 2),
    steps=st.integers(1, 4),
    dvs=st.booleans(),
    channels=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_any_network(
    tmp_path, pooling, height, width, heads, ratio, depth, steps, dvs, channels, seed
):
    factor = 2 ** pooling.count("1")
    config = official_config(
        pooling_stat=pooling, image_size=(height * factor, width * factor), num_heads=heads,
        mlp_ratio=ratio, depth=depth, timesteps=steps, dvs_mode=dvs, in_channels=channels,
    )  # fmt: skip
    assert_reproduced(tmp_path / "model.pth.tar", config, seed, batch=1)
