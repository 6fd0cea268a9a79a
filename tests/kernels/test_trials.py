"""Kernels of the ProcessModels that are wrong on a machine are found before their first use."""

from __future__ import annotations

import logging

import pytest

from sdt_lava.errors import ResourceError
from sdt_lava.kernels import trials, verdicts

KERNELS = (
    "integrate",
    "propagate_convolution",
    "propagate_dense",
    "propagate_network",
    "propagate_runs",
    "propagate_sparse",
    "record",
    "relay",
    "shift_sums",
    "sum_windows",
    "transpose",
    "transpose_sums",
    "wrap_sums",
)


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """Nothing has been tried yet; returns where it is noted."""
    monkeypatch.setattr(verdicts, "_VERDICTS", {})
    monkeypatch.setattr(verdicts, "cache_folder", lambda function: tmp_path)
    return tmp_path


def test_every_kernel_is_right_and_not_tried_again(fresh, monkeypatch, caplog):
    caplog.set_level(logging.INFO, verdicts.__name__)
    assert trials.models_pass()
    assert "kernel models is exact on numba" in caplog.text
    verdicts._VERDICTS.clear()
    monkeypatch.setattr(trials, "_problem", lambda: "is tried again")
    assert trials.models_pass()


@pytest.mark.parametrize("name", KERNELS)
def test_each_kernel_is_tried(fresh, monkeypatch, caplog, name):
    monkeypatch.setattr(trials, name, lambda *arguments: None)
    assert not trials.models_pass()
    assert "kernel models is not used: it differs from NumPy" in caplog.text
    assert not list(fresh.iterdir())


def test_every_kernel_that_models_use_is_in_the_trial():
    from sdt_lava.kernels import warm_up

    used = {name for name, value in vars(warm_up).items() if hasattr(value, "signatures")}
    assert used == set(KERNELS)


@pytest.mark.lava
def test_wrong_kernels_are_refused_with_a_remedy(fresh, monkeypatch):
    from sdt_lava.backends.lava.processes.run_config import run_config

    monkeypatch.setattr(trials, "integrate", lambda *arguments: None)
    with pytest.raises(ResourceError, match="wrong results of the kernels of 'fused'.*'lava'"):
        run_config("fused")
    assert run_config("lava")
